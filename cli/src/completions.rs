//! `hooks completions`: completion scripts for shells.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::output::print_bytes;

/// Completes `cargo hooks` in bash by the function that completes `hooks`. bash-completion loads cargo's own completions when they are first
/// needed, and they then take the place of this function.
const CARGO_IN_BASH: &str = r#"
_cargo_with_hooks() {
    if [[ ${COMP_WORDS[1]} == hooks && COMP_CWORD -gt 1 ]]; then
        COMP_WORDS=(hooks "${COMP_WORDS[@]:2}")
        COMP_CWORD=$((COMP_CWORD - 1))
        _hooks hooks "$2" "$3"
        return
    fi
    if ! declare -F _cargo >/dev/null; then
        local load
        for load in _comp_load __load_completion; do
            if declare -F "$load" >/dev/null; then
                "$load" cargo
                break
            fi
        done
        complete -F _cargo_with_hooks -o bashdefault -o default cargo
    fi
    if declare -F _cargo >/dev/null; then
        _cargo "$@"
    fi
}
complete -F _cargo_with_hooks -o bashdefault -o default cargo
"#;

/// The same in zsh.
const CARGO_IN_ZSH: &str = r#"
_cargo_with_hooks() {
    if (( CURRENT > 2 )) && [[ $words[2] == hooks ]]; then
        shift words
        (( CURRENT-- ))
        _hooks "$@"
    elif (( $+functions[_cargo] )); then
        _cargo "$@"
    fi
}
compdef _cargo_with_hooks cargo
"#;

/// The same in fish.
const CARGO_IN_FISH: &str = r#"
complete -c cargo -n '__fish_seen_subcommand_from hooks' -f -a '(complete -C (string replace -r "^\s*cargo\s+" "" -- (commandline -cp)))'
"#;

/// Writes the completion script of a shell to standard output.
#[derive(Args)]
#[command(after_help = "\
The script completes both `cargo hooks` and the program hooks, once it is installed (cargo install --path cli).

Install the script:
  bash   source <(hooks completions bash)      in ~/.bashrc
  zsh    source <(hooks completions zsh)       in ~/.zshrc, after compinit
  fish   hooks completions fish > ~/.config/fish/conf.d/hooks.fish")]
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
    script.extend_from_slice(match shell {
        Shell::Bash => CARGO_IN_BASH.as_bytes(),
        Shell::Zsh => CARGO_IN_ZSH.as_bytes(),
        Shell::Fish => CARGO_IN_FISH.as_bytes(),
        _ => b"",
    });
    print_bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}
