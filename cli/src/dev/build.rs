use std::process::Stdio;

use anyhow::{Result, bail};
use tokio::process::Command;

use crate::project::Project;

/// Removes the variables of `cargo run` from a command's environment. The build scripts of some dependencies read them, and
/// would run again each time.
pub fn forget_cargo_run(command: &mut Command) {
    let of_cargo_run = |name: &str| {
        name.starts_with("CARGO_PKG_")
            || ["CARGO", "CARGO_BIN_NAME", "CARGO_CRATE_NAME", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH"]
                .contains(&name)
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_cargo_run)) {
        command.env_remove(name);
    }
}

/// Builds the functions before the first event comes. The provider waits 5 seconds for an answer.
///
/// # Errors
/// Fails if they do not build; cargo has printed the reason.
pub async fn build_functions(project: &Project, functions: impl IntoIterator<Item = &str>) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.arg("build").current_dir(project.root()).stdin(Stdio::null());
    forget_cargo_run(&mut cargo);
    for function in functions {
        cargo.args(["--bin", function]);
    }
    if !cargo.status().await?.success() {
        bail!("the functions do not build");
    }
    Ok(())
}
