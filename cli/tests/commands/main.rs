//! The program `hooks` as a user runs it: the built one, against real tables and the function sync.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step should end the test")]

mod completions;
mod consumer;
mod dead_letters;
mod dev;
mod doctor;
mod events;
mod export;
mod forward;
mod forward_dead_letters;
mod inspect;
mod inventory;
mod key;
mod lines;
mod named;
mod program;
mod proxy;
mod quarantine;
mod readers;
mod recover;
mod replay;
mod states;
mod terminal;
mod tools;
mod watched;
mod webhook;
mod world;
