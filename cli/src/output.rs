//! How an answer is shown, and where it goes.

pub mod json;
pub mod progress;
pub mod tables;
pub mod text;

use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};
use clap::ValueEnum;

/// How an answer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Writes to standard output. Whoever has read enough of it, such as `head`, may close it: then the answer is `false`,
/// and nobody reads on.
///
/// # Errors
/// When it cannot be written for another cause.
pub fn print(text: &str) -> Result<bool> {
    print_bytes(text.as_bytes())
}

/// The same with bytes that need not be text.
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
