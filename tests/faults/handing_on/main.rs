//! Tests the publisher and the forwarder between peers that misbehave. Every recorded event reaches the bus, and is taken by the
//! endpoint or is a dead letter; the first takes of an entity are in the order of recording; a repetition has the same id; and no
//! entity waits for another.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step should end the test; the tables and counts are the result"
)]

mod backlog;
mod crash;
mod in_process;
mod many;
mod matrix;
mod outage;
mod world;
