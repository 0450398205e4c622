//! `hooks completions`: what a shell needs to complete command lines.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::output::print_bytes;

/// For which shell.
#[derive(Args)]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

/// Writes the completions of a command line.
///
/// # Errors
/// When standard output cannot be written.
pub fn write(mut command: Command, Completions { shell }: &Completions) -> Result<ExitCode> {
    let mut script = Vec::new();
    generate(*shell, &mut command, "hooks", &mut script);
    print_bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}
