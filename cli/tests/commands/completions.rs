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
