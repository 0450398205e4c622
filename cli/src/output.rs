//! The formats of answers, and where they go.

pub mod json;
pub mod progress;
pub mod screen;
pub mod tables;
pub mod text;
pub mod times;

use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};
use clap::ValueEnum;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use shared::text::plain;

/// The format of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Reads the maximum number of items to list.
///
/// # Errors
/// Fails when it is not a whole number, or negative.
pub fn limit(text: &str) -> Result<usize, &'static str> {
    text.parse().map_err(|_| "expected a whole number that is not negative")
}

/// A list that a limit may have cut off, and the sentences around it for people.
pub struct List<'a, T> {
    pub items: &'a [T],
    /// Printed in place of the table when there are no items; empty for nothing.
    pub none: String,
    /// The number shown and the total, such as "The first 20 messages"; `None` when these are all.
    pub more: Option<String>,
}

impl<T> List<'_, T> {
    /// Prints the list as a table, or as one JSON object on each line.
    ///
    /// # Errors
    /// Fails when an item cannot be written as JSON, or standard output cannot be written to.
    pub fn print(
        self,
        output: Output,
        json: impl Fn(&T) -> serde_json::Result<String>,
        table: impl Fn(&[T]) -> String,
    ) -> Result<()> {
        let Self { items, none, more } = self;
        let shown = match output {
            Output::Json => items.iter().map(json).collect::<serde_json::Result<String>>()?,
            Output::Table if items.is_empty() => match more {
                None => none,
                Some(_) => "--limit 0 shows none of them.\n".to_owned(),
            },
            Output::Table => {
                let more = more.map(|more| format!("{more}; --limit shows more.\n"));
                table(items) + &more.unwrap_or_default()
            }
        };
        print(&shown).map(drop)
    }
}

/// Writes to standard output. Returns `false` when the reader has closed it, as `head` does when it has enough.
///
/// # Errors
/// Fails when it cannot be written to for another reason.
pub fn print(text: &str) -> Result<bool> {
    print_bytes(text.as_bytes())
}

/// Writes bytes that need not be text to standard output, as [`print()`] does.
///
/// # Errors
/// As for [`print()`].
pub fn print_bytes(bytes: &[u8]) -> Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true).context("standard output"),
    }
}

/// Returns `false` when the reader of standard output has closed it.
pub fn is_read() -> bool {
    let stdout = io::stdout();
    let mut state = [PollFd::new(&stdout, PollFlags::empty())];
    let is_known = poll(&mut state, Some(&Timespec::default())).is_ok();
    !(is_known && state[0].revents().intersects(PollFlags::ERR | PollFlags::HUP))
}

/// Writes a line for people to standard output, for a program that keeps running when nobody reads it.
pub fn say(line: &str) {
    // Nobody reads it if standard output is closed or cannot be written to.
    let _ = print(&format!("{line}\n"));
}

/// Writes a note for people to standard error, on a line of its own. Characters that a terminal obeys are escaped, but for line ends.
pub fn note(note: &str) {
    let lines: Vec<String> = note.split('\n').map(plain).collect();
    // If standard error is closed, nobody reads notes.
    let _ = writeln!(io::stderr(), "{}", lines.join("\n"));
}
