//! `hooks completions`: completion scripts for shells.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::output::print_bytes;

/// Writes the completion script of a shell to standard output.
#[derive(Args)]
#[command(after_help = "\
The script completes the program hooks, once it is installed (cargo install --path cli).

Install the script:
  bash   hooks completions bash > ~/.local/share/bash-completion/completions/hooks
  zsh    hooks completions zsh > ~/.zfunc/_hooks      with fpath+=~/.zfunc before compinit in ~/.zshrc
  fish   hooks completions fish > ~/.config/fish/completions/hooks.fish")]
pub struct Completions {
    /// Name of the shell.
    shell: Shell,
}

/// Writes the completions of a command line.
///
/// # Errors
/// Fails when standard output cannot be written.
pub fn run(mut command: Command, Completions { shell }: &Completions) -> Result<ExitCode> {
    let mut script = Vec::new();
    generate(*shell, &mut command, "hooks", &mut script);
    print_bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}
