//! `hooks tools`: fetches the programs that a deployment needs.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
};

use anyhow::{Context, Result};
use clap::Args;
use shared::text::quoted;
use tokio::process::Command;

use crate::{
    faults::Fault,
    output::{print, progress::Progress},
    project::{Project, from_here},
};

/// The SAM CLI, cargo-lambda, zig and everything that they need, with the hashes of their files. `cli/src/tools/README.md` says how to
/// update it.
const REQUIREMENTS: &str = include_str!("tools/requirements.txt");

/// Fetches the SAM CLI, cargo-lambda and zig into the checkout, in tested versions.
#[derive(Args)]
#[command(after_help = "\
They come from PyPI into .tools/deploy. The hash of every file is checked, and nothing outside the checkout is changed. Needs Python 3.10 \
or newer. `hooks doctor` finds the programs there; `sam build` needs them on the PATH.

Examples:
  cargo hooks tools
  export PATH=\"$PWD/.tools/deploy/bin:$PATH\"")]
pub struct Tools {}

/// Returns the folder of the fetched tools.
pub fn folder(project: &Project) -> PathBuf {
    project.root().join(".tools/deploy")
}

/// Fetches the tools.
///
/// # Errors
/// Fails outside a checkout, without a Python that can create an environment, and when a file cannot be fetched or has the wrong hash.
pub async fn run(Tools {}: Tools) -> Result<ExitCode> {
    let folder = folder(&Project::find()?);
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be created", from_here(&folder).display()))?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    let no_python = "install Python 3.10 or newer with its module venv, such as: sudo apt install python3-venv";
    run_step("python3", [OsStr::new("-m"), "venv".as_ref(), folder.as_os_str()], no_python).await?;
    // The list has every dependency.
    let install =
        ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--requirement"];
    let install = install.map(OsStr::new).into_iter().chain([requirements.as_os_str()]);
    run_step(folder.join("bin/pip"), install, "cargo hooks tools, once PyPI can be reached").await?;
    let bin = folder.join("bin");
    let path = quoted(&bin.display().to_string());
    print(&format!("The SAM CLI, cargo-lambda and zig are in {}. To use them:\n", from_here(&bin).display()))?;
    print(&format!("  export PATH={path}:\"$PATH\"\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs a program to its end.
///
/// # Errors
/// Fails when it is missing or does not succeed, with the last line that it wrote to standard error.
async fn run_step(
    program: impl AsRef<Path>,
    arguments: impl IntoIterator<Item: AsRef<OsStr>>,
    fix: &str,
) -> Result<()> {
    let program = program.as_ref();
    let name = program.file_name().unwrap_or_default().display().to_string();
    let progress = Progress::of(&name);
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().await;
    drop(progress);
    let what = match output {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
            let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it failed").trim().to_owned();
            format!("{name}: {last}")
        }
        Err(error) => format!("{name}: {error}"),
    };
    Err(Fault::of_tool(what, fix).into())
}
