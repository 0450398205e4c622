//! `hooks tools`: fetches the programs that a deployment needs.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
};

use anyhow::{Context, Result};
use clap::Args;
use futures_util::future::try_join;
use shared::text::quoted;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{ChildStdout, Command},
};

use crate::{
    faults::Fault,
    output::{note, print, progress::Progress},
    project::{Project, from_here},
};

/// The SAM CLI, cargo-lambda, zig and everything that they need, with the hashes of their files. `cli/src/tools/README.md` says how to
/// update it.
const REQUIREMENTS: &str = include_str!("tools/requirements.txt");

/// Fetches the SAM CLI, cargo-lambda and zig into the checkout, in tested versions.
#[derive(Args)]
#[command(after_help = "\
The tools are downloaded from PyPI into .tools/deploy. The hash of every file is checked, and nothing outside the checkout is changed. \
Needs Python 3.10 or newer. `cargo hooks doctor` finds the programs there; `sam build` needs them on the PATH.

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
/// Fails outside a checkout, and when they cannot be fetched.
pub async fn run(Tools {}: Tools) -> Result<ExitCode> {
    let folder = folder(&Project::find()?);
    note("Fetching the SAM CLI, cargo-lambda and zig with their dependencies from PyPI. The large files:");
    // Without a wheel for this machine, pip builds a source package, and setuptools has to be there by then.
    fetch(&folder, &[&requirement("setuptools"), REQUIREMENTS]).await?;
    let bin = folder.join("bin");
    let path = quoted(&bin.display().to_string());
    print(&format!("The SAM CLI, cargo-lambda and zig are in {}. To use them:\n", from_here(&bin).display()))?;
    print(&format!("  export PATH={path}:\"$PATH\"\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the line of a tool in the list: its version, and the hashes of its files.
pub fn requirement(tool: &str) -> String {
    let one_on_each_line = REQUIREMENTS.replace("\\\n", "");
    one_on_each_line.lines().find(|line| line.starts_with(&format!("{tool}=="))).unwrap_or_default().to_owned()
}

/// Installs lists of requirements from PyPI into a folder, one after the other.
///
/// # Errors
/// Fails without a Python that can create an environment, and when a file cannot be fetched or has the wrong hash.
pub async fn fetch(folder: &Path, lists: &[&str]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be created", from_here(folder).display()))?;
    let no_python = "install Python 3.10 or newer with its module venv, such as: sudo apt install python3-venv";
    run_step("python3", [OsStr::new("-m"), "venv".as_ref(), folder.as_os_str()], no_python).await?;
    let file = folder.join("requirements.txt");
    for list in lists {
        fs::write(&file, list)?;
        // The lists have every dependency. With build isolation, pip would fetch those of a build without hashes.
        let install = ["install", "--progress-bar=off", "--disable-pip-version-check", "--no-deps"];
        let install = install.into_iter().chain(["--no-build-isolation", "--require-hashes", "--requirement"]);
        let install = install.map(OsStr::new);
        let not_fetched = "cargo hooks tools, with a connection to PyPI and Python 3.10 or newer";
        run_step(folder.join("bin/pip"), install.chain([file.as_os_str()]), not_fetched).await?;
    }
    Ok(())
}

/// Runs a program to its end. Each large file that pip fetches is noted.
///
/// # Errors
/// Fails when it is missing or does not succeed, with what it wrote.
pub async fn run_step(
    program: impl AsRef<Path>,
    arguments: impl IntoIterator<Item: AsRef<OsStr>>,
    fix: &str,
) -> Result<()> {
    let program = program.as_ref();
    let name = program.file_name().unwrap_or_default().display().to_string();
    let progress = Progress::of(&name);
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = async {
        let mut child = command.spawn()?;
        let stdout = child.stdout.take();
        try_join(child.wait_with_output(), said(stdout, &progress)).await
    };
    let output = output.await;
    drop(progress);
    let what = match output {
        Ok((output, _)) if output.status.success() => return Ok(()),
        Ok((output, stdout)) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let said = [stderr.trim(), stdout.trim(), "it failed"].into_iter().find(|said| !said.is_empty());
            format!("{name}: {}", said.unwrap_or_default())
        }
        Err(error) => format!("{name}: {error}"),
    };
    Err(Fault::of_tool(what, fix).into())
}

/// Reads what a program writes to its end, and notes the lines in which pip names a file of a megabyte or more.
async fn said(stdout: Option<ChildStdout>, progress: &Progress) -> io::Result<String> {
    let mut said = String::new();
    let Some(stdout) = stdout else { return Ok(said) };
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some(file) = line.trim().strip_prefix("Downloading ").filter(|file| file.ends_with(" MB)")) {
            progress.note(&format!("  {file}"));
        }
        said += &(line + "\n");
    }
    Ok(said)
}
