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
}
