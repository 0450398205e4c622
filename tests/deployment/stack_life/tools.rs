//! The programs that the deployment needs, from PyPI: the SAM CLI, cargo-lambda with zig, MiniStack.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

use crate::progress::say;

/// Folders of installed tools under the root of the project, searched in this order.
const INSTALLED: [(&str, &str); 2] =
    [("tests/deployment/requirements.txt", ".tools/deployment"), (".ci/requirements.txt", ".tools/ci")];

/// The root of the project.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// A folder of this test's own, under `target`.
pub fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("deployment")
}

/// The installed programs.
pub struct Tools {
    path: OsString,
}

impl Tools {
    /// Installs missing tools, and those of another version.
    pub async fn bring() -> Self {
        for (requirements, folder) in INSTALLED {
            install(&root().join(requirements), &root().join(folder)).await;
        }
        let ours = INSTALLED.map(|(_, folder)| root().join(folder).join("bin"));
        let theirs = env::var_os("PATH").unwrap_or_default();
        Self { path: env::join_paths(ours.into_iter().chain(env::split_paths(&theirs))).unwrap() }
    }

    /// The search path with them in front.
    pub fn path(&self) -> &OsString {
        &self.path
    }

    /// The command line of one of them, in the root of the project. It ends with the test, and knows no AWS but the one that
    /// it is told of: whatever is set for AWS where the test runs is taken out.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(root()).env("PATH", &self.path).stdin(Stdio::null()).kill_on_drop(true);
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_not_theirs)) {
            command.env_remove(name);
        }
        let nowhere = scratch().join("no-such-file");
        command.env("AWS_CONFIG_FILE", &nowhere).env("AWS_SHARED_CREDENTIALS_FILE", &nowhere);
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }
}

/// Returns whether a variable must not reach the commands: one of AWS, or one of `cargo test`, which would make the build scripts of
/// some dependencies run again each time.
fn is_not_theirs(name: &str) -> bool {
    let of_cargo_test =
        ["CARGO", "CARGO_CRATE_NAME", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_TARGET_TMPDIR"];
    name.starts_with("AWS_") || name.starts_with("CARGO_PKG_") || of_cargo_test.contains(&name)
}

async fn install(requirements: &Path, folder: &Path) {
    let wanted = fs::read_to_string(requirements).unwrap();
    let installed = folder.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return;
    }
    say(&format!("installing {} from PyPI", requirements.strip_prefix(root()).unwrap().display()));
    let pip = folder.join("bin/pip");
    if !pip.exists() {
        run(Command::new("python3").arg("-m").arg("venv").arg(folder)).await;
    }
    let mut pip = Command::new(pip);
    run(pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(requirements)).await;
    fs::write(installed, wanted).unwrap();
}

async fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).status().await;
    assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "{command:?}: {status:?}");
}
