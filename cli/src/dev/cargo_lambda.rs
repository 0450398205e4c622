use std::{
    ffi::{OsStr, OsString},
    fmt, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Result, bail};
use indicatif::ProgressBar;
use tokio::process::Command;

use crate::{
    output::{note, say},
    project::from_here,
};

/// The version to install if there is none.
const VERSION: &str = "1.9.2";

/// The program `cargo-lambda`, which builds the functions again when their code changes.
pub struct CargoLambda(OsString);

impl fmt::Display for CargoLambda {
    /// Writes the command line for a person in the checkout. Cargo finds a program on the PATH, but not one in `.tools`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Path::new(&self.0) {
            on_path if on_path == Path::new("cargo-lambda") => f.write_str("cargo lambda"),
            in_tools => write!(f, "{} lambda", from_here(in_tools).display()),
        }
    }
}

impl CargoLambda {
    /// Finds the program on the PATH, or the one installed into a folder.
    pub async fn find(folder: &Path) -> Option<Self> {
        let candidates =
            [PathBuf::from("cargo-lambda"), folder.join("venv/bin/cargo-lambda"), folder.join("bin/cargo-lambda")];
        for candidate in candidates {
            if let Some(found) = answers(candidate.as_os_str()).await {
                return Some(found);
            }
        }
        None
    }

    /// Finds the program, or installs it into a folder: from PyPI if there is a Python, which takes seconds, else with cargo,
    /// which takes minutes.
    ///
    /// # Errors
    /// Fails if it is missing and cannot be installed.
    pub async fn find_or_install(folder: &Path) -> Result<Self> {
        if let Some(found) = Self::find(folder).await {
            return Ok(found);
        }
        say(&format!("cargo-lambda is not installed; installing it into {}", from_here(folder).display()));
        fs::create_dir_all(folder)?;
        let venv = folder.join("venv");
        let requirement = format!("cargo-lambda=={VERSION}");
        let in_venv = run("python3", ["-m".as_ref(), "venv".as_ref(), venv.as_os_str()]).await
            && run(venv.join("bin/pip"), ["install", "--quiet", &requirement]).await;
        if in_venv && let Some(found) = answers(venv.join("bin/cargo-lambda").as_os_str()).await {
            return Ok(found);
        }
        say("pip cannot install it; building it with cargo, which takes some minutes");
        let install =
            ["install", "--locked", "--quiet", "cargo-lambda", "--version", VERSION, "--root"].map(OsStr::new);
        let built = run("cargo", install.into_iter().chain([folder.as_os_str()]));
        if built.await
            && let Some(found) = answers(folder.join("bin/cargo-lambda").as_os_str()).await
        {
            return Ok(found);
        }
        bail!("cargo-lambda cannot be installed; install it by hand (https://www.cargo-lambda.info) and try again")
    }

    /// Returns the program; its first argument must be `lambda`.
    pub fn program(&self) -> &OsStr {
        &self.0
    }

    /// Returns a command line of it: `cargo lambda …`.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        command.arg("lambda");
        command
    }
}

async fn answers(program: &OsStr) -> Option<CargoLambda> {
    let mut command = Command::new(program);
    command.args(["lambda", "--version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().await.ok()?;
    status.success().then(|| CargoLambda(program.to_owned()))
}

/// Runs an installer with a spinner; its own output is shown when it fails.
async fn run(program: impl AsRef<OsStr>, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> bool {
    let name = Path::new(program.as_ref()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let spinner = ProgressBar::new_spinner().with_message(format!("{name} is running"));
    spinner.enable_steady_tick(Duration::from_millis(100));
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().await;
    spinner.finish_and_clear();
    match output {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            note(String::from_utf8_lossy(&output.stderr).trim_end());
            false
        }
        Err(error) => {
            note(&format!("{name}: {error}"));
            false
        }
    }
}
