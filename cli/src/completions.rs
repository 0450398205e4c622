//! `hooks completions`: completion scripts for shells.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Arg, Args, Command, ValueHint, builder::PossibleValuesParser};
use clap_complete::{Shell, generate};
use shared::{DOCTOR, Kind};

use crate::{output::print_bytes, samples};

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

/// Completes the event of `hooks send` in zsh. clap's script would offer no files beside the samples.
const SAMPLES_IN_ZSH: &str = r#"
_hooks_samples() {
    _alternative "samples:sample:(SAMPLES)" "files:file:_files"
}
"#;

/// Values that clap's script for fish leaves out: those of arguments without a name, most of which are no files.
const VALUES_IN_FISH: &str = r#"
complete -c hooks -n "not __fish_hooks_using_subcommand send recover" -f
complete -c hooks -n "__fish_hooks_using_subcommand send" -a "SAMPLES"
complete -c hooks -n "__fish_hooks_using_subcommand completions" -a "bash elvish fish powershell zsh"
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
pub fn run(command: Command, Completions { shell }: &Completions) -> Result<ExitCode> {
    let mut script = Vec::new();
    generate(*shell, &mut with_values(command), "hooks", &mut script);
    let (mut script, samples) = (String::from_utf8(script)?, samples::NAMES.join(" "));
    if *shell == Shell::Zsh {
        script = script.replace(&format!("({samples})"), "_hooks_samples");
    }
    let added = match shell {
        Shell::Bash => [CARGO_IN_BASH, ""],
        Shell::Zsh => [SAMPLES_IN_ZSH, CARGO_IN_ZSH],
        Shell::Fish => [VALUES_IN_FISH, CARGO_IN_FISH],
        _ => [""; 2],
    };
    print_bytes((script + &added.concat().replace("SAMPLES", &samples)).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Adds the values to offer for arguments that accept others too. No file is offered for an argument that does not name one.
fn with_values(command: Command) -> Command {
    let with_values = |arg: Arg| match arg.get_id().as_str() {
        "kind" => arg.value_parser(PossibleValuesParser::new(Kind::NAMES.into_iter().chain([DOCTOR, "quarantine"]))),
        "to" => arg.value_parser(["bus", "forward"]),
        "event" => arg.value_parser(samples::NAMES),
        _ if arg.get_action().takes_values() && arg.get_value_hint() == ValueHint::Unknown => {
            arg.value_hint(ValueHint::Other)
        }
        _ => arg,
    };
    command.mut_args(with_values).mut_subcommands(self::with_values)
}
