//! Every command line of `hooks` in the documents, in the template's texts and in the help itself is one that the program accepts.

use std::{collections::BTreeMap, fs, path::Path};

use clap::{Command, CommandFactory, Parser, error::ErrorKind};

use crate::Hooks;

/// An id for the placeholders in angle brackets.
const ID: &str = "019aaaaa-0000-7000-8000-000000000000";

/// README.md, ARCHITECTURE.md, the template and everything in docs/, by name.
fn documents() -> BTreeMap<String, String> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let in_docs =
        fs::read_dir(root.join("docs")).unwrap().map(|file| format!("docs/{}", file.unwrap().file_name().display()));
    let names = ["README.md", "ARCHITECTURE.md", "template.yaml"].map(str::to_owned).into_iter().chain(in_docs);
    let text = names.filter(|name| name.ends_with(".md") || name.ends_with(".yaml"));
    text.map(|name| (name.clone(), fs::read_to_string(root.join(name)).unwrap())).collect()
}

/// The words of a command line as a shell would pass them, up to a pipe, a redirection or a comment.
fn words(line: &str) -> Vec<String> {
    let (mut text, mut rest) = (String::new(), line);
    while let Some((before, placeholder)) = rest.split_once('<')
        && let Some((_, after)) = placeholder.split_once('>').filter(|_| !placeholder.starts_with(' '))
    {
        text.push_str(before);
        text.push_str(ID);
        rest = after;
    }
    text.push_str(rest);
    let words = text.split_whitespace().take_while(|word| !["|", "<", ">", "&&", "#"].contains(word));
    words.map(|word| word.replace("\"$STACK\"", "partner-webhook").trim_end_matches(';').replace('"', "")).collect()
}

/// The command lines in a document: whole ones of code blocks, and those in backquotes, which may leave out arguments.
fn lines(document: &str) -> (Vec<String>, Vec<String>) {
    let (mut whole, mut mentioned) = (Vec::new(), Vec::new());
    for (index, part) in document.split("```").enumerate() {
        if index % 2 == 1 {
            let commands =
                part.lines().filter_map(|line| line.split_once("cargo hooks ").map(|(_, line)| line.to_owned()));
            whole.extend(commands);
        } else {
            let spans =
                part.split('`').skip(1).step_by(2).map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "));
            let command =
                |span: String| Some(span.strip_prefix("cargo ").unwrap_or(&span).strip_prefix("hooks ")?.to_owned());
            mentioned.extend(spans.filter_map(command));
        }
    }
    (whole, mentioned)
}

/// The examples in the help of a command and of those below it: each ends where its explanation begins.
fn examples(command: &Command) -> Vec<String> {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let own = help.lines().filter_map(|line| line.trim().strip_prefix("cargo hooks "));
    let own = own.map(|line| line.split("  ").next().unwrap_or(line).to_owned());
    own.chain(command.get_subcommands().flat_map(examples)).collect()
}

/// Returns the reason why the program does not accept a command line.
fn fault(line: &str, may_leave_out: bool) -> Option<String> {
    let words = words(line);
    let error = Hooks::try_parse_from([String::from("hooks")].into_iter().chain(words.iter().cloned())).err()?;
    let accepted = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
        ErrorKind::MissingRequiredArgument
        | ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => may_leave_out,
        _ => false,
    };
    (!accepted).then(|| format!("{line}: {error}"))
}

#[test]
fn the_program_accepts_every_command_line_of_the_documents() {
    let (mut faults, mut seen) = (Vec::new(), 0);
    for (name, document) in documents() {
        let (whole, mentioned) = lines(&document);
        seen += whole.len() + mentioned.len();
        let found = whole.iter().filter_map(|line| fault(line, false));
        faults.extend(
            found.chain(mentioned.iter().filter_map(|line| fault(line, true))).map(|fault| format!("{name}: {fault}")),
        );
    }
    assert!(seen > 80, "only {seen} command lines were found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_program_accepts_every_example_of_its_help() {
    let examples = examples(&Hooks::command());
    assert!(examples.len() > 30, "only {} examples were found", examples.len());
    let faults: Vec<_> = examples.iter().filter_map(|line| fault(line, false)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_command_line_that_the_program_does_not_know_is_found() {
    for line in
        ["event", "events --sinc 7d", "events --since soon", "show", "webhook plan --stack", "dlq redrive --all | jq"]
    {
        let known = line.starts_with("dlq");
        assert_eq!(fault(line, false).is_none(), known, "{line}");
    }
    assert_eq!(words("show <message id> --stack \"$STACK\" > file  # one"), ["show", ID, "--stack", "partner-webhook"]);
    assert_eq!(words("replay --to - < url"), ["replay", "--to", "-"]);
    assert!(fault("show", true).is_none());
}
