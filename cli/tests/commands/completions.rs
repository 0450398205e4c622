use std::path::Path;

use crate::program::{hooks, run};

#[tokio::test]
async fn every_shell_gets_completions_of_every_command() {
    // Away from any checkout.
    for (shell, marker) in [("bash", "complete -F"), ("zsh", "#compdef hooks"), ("fish", "complete -c hooks")] {
        let written = run(hooks(Path::new("/"), &["completions", shell], &[])).await;
        assert_eq!((written.code, written.stderr.as_str()), (0, ""), "{shell}");
        for expected in [marker, "quarantine", "retry", "limit", "webhook", "rotate"] {
            assert!(written.stdout.contains(expected), "{shell}: {expected}");
        }
    }
    assert_eq!(run(hooks(Path::new("/"), &["completions", "cmd"], &[])).await.code, 2);
}

#[tokio::test]
async fn bash_completes_the_words_after_cargo_hooks_as_those_after_hooks() {
    let written = run(hooks(Path::new("/"), &["completions", "bash"], &[])).await;
    let words = |words: &str, current: &str| {
        let count = words.split(' ').count();
        let script = format!(
            "{}\nCOMP_WORDS=({words} '{current}'); COMP_CWORD={count}; {} '{current}' {}; echo \"${{COMPREPLY[*]}}\"",
            written.stdout,
            if words.starts_with("cargo") { "_cargo_with_hooks cargo" } else { "_hooks hooks" },
            words.split(' ').next_back().unwrap(),
        );
        let output = std::process::Command::new("bash").args(["--norc", "-c", &script]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for (line, current, expected) in [("hooks", "quar", "quarantine"), ("hooks quarantine", "re", "retry")] {
        let completed = words(line, current);
        assert!(completed.contains(expected), "{completed}");
        assert_eq!(words(&format!("cargo {line}"), current), completed);
    }
    assert_eq!(words("cargo", "bu"), "\n", "other commands are cargo's own");
    for (line, value) in [
        ("hooks send", "whatsapp"),
        ("hooks events --kind", "builder"),
        ("hooks states --kind", "store"),
        ("hooks replay --to", "forward"),
    ] {
        let completed = words(line, "");
        assert!(completed.split_whitespace().any(|word| word == value), "{line}: {completed}");
    }
    for line in ["hooks events --entity", "hooks lines --reference", "hooks stats --since", "hooks state --stack"] {
        assert_eq!(words(line, ""), "\n", "no files: {line}");
    }
}

#[tokio::test]
async fn bash_keeps_cargos_own_completions_although_they_are_loaded_later() {
    let written = run(hooks(Path::new("/"), &["completions", "bash"], &[])).await;
    // As bash-completion does: the first completion of a command loads the command's own.
    let script = format!(
        "{}\n__load_completion() {{ _cargo() {{ COMPREPLY=(build); }}; complete -F _cargo \"$1\"; }}\n\
         COMP_WORDS=(cargo bu); COMP_CWORD=1; _cargo_with_hooks cargo bu cargo; echo \"$COMPREPLY\"; complete -p cargo",
        written.stdout
    );
    let output = std::process::Command::new("bash").args(["--norc", "-c", &script]).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.starts_with("build\n") && shown.contains("-F _cargo_with_hooks cargo"), "{shown}");
}

/// What a shell prints when it runs a script; `None` without the shell.
fn printed(shell: &str, arguments: &[&str]) -> Option<String> {
    let output = std::process::Command::new(shell).args(arguments).env("HOME", env!("CARGO_TARGET_TMPDIR")).output();
    output.ok().map(|output| String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn zsh_and_fish_complete_cargo_hooks_as_hooks() {
    let script = async |shell| run(hooks(Path::new("/"), &["completions", shell], &[])).await.stdout;
    let (zsh, fish) = (script("zsh").await, script("fish").await);
    for (line, hooks, cargo) in [
        ("cargo hooks quar", "hooks 2 hooks quar\n", ""),
        ("cargo hooks quarantine re", "hooks 3 hooks quarantine re\n", ""),
        ("cargo bu", "", "cargo 2 cargo bu\n"),
    ] {
        let zsh = format!(
            "compdef() {{ }}\n{zsh}\n_hooks() {{ print hooks $CURRENT $words; }}; _cargo() {{ print cargo $CURRENT $words; }}\n\
             words=({line}); CURRENT=$#words; _cargo_with_hooks"
        );
        if let Some(zsh) = printed("zsh", &["-f", "-c", &zsh]) {
            assert_eq!(zsh, format!("{hooks}{cargo}"), "{line}");
        }
    }
    for value in [":KIND:(whatsapp builder ", ":URL:(bus forward)'", ":_hooks_samples'"] {
        assert!(zsh.contains(value), "{value}");
    }
    assert!(!zsh.contains(":_default'"), "files");
    for (line, completed, has_files) in [
        ("hooks quar", "quarantine", false),
        ("cargo hooks quar", "quarantine", false),
        ("cargo hooks quarantine re", "retry", false),
        ("hooks send ", "whatsapp", true),
        ("hooks recover ", "src/", true),
        ("hooks completions ", "zsh", false),
        ("hooks events --kind ", "builder", false),
        ("cargo hooks replay --to ", "bus", false),
        ("hooks show ", "", false),
        ("hooks state --stack ", "", false),
    ] {
        if let Some(fish) = printed("fish", &["-c", &format!("{fish}\ncomplete -C '{line}'")]) {
            assert!(completed.is_empty() || fish.lines().any(|line| line.starts_with(completed)), "{line}: {fish}");
            assert_eq!(fish.contains("Cargo.toml"), has_files, "{line}: {fish}");
        }
    }
}
