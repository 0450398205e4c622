use std::{
    ffi::{OsStr, OsString},
    fmt,
    path::Path,
    process::Stdio,
};

use anyhow::Result;
use tokio::process::Command;

use crate::{
    faults::Fault,
    output::{note, say},
    project::{Project, from_here},
    tools,
};

/// The fix when it cannot be installed.
const BY_HAND: &str = "install cargo-lambda by hand (https://www.cargo-lambda.info)";

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
    /// Finds the program on the PATH, or among the fetched tools of a checkout.
    pub async fn find(project: &Project) -> Option<Self> {
        match answers("cargo-lambda".as_ref()).await {
            Some(on_path) => Some(on_path),
            None => answers(tools::folder(project).join("bin/cargo-lambda").as_os_str()).await,
        }
    }

    /// Finds the program, or installs it among the tools of a checkout: from PyPI if there is a Python, which takes seconds, else with
    /// cargo, which takes minutes.
    ///
    /// # Errors
    /// Fails if it is missing and cannot be installed.
    pub async fn find_or_install(project: &Project) -> Result<Self> {
        if let Some(found) = Self::find(project).await {
            return Ok(found);
        }
        let folder = tools::folder(project);
        say(&format!("cargo-lambda is not installed; installing it into {}", from_here(&folder).display()));
        let requirement = tools::requirement("cargo-lambda");
        if let Err(error) = tools::fetch(&folder, &[&requirement]).await {
            note(&format!("{error:#}\nBuilding it with cargo instead, which takes a few minutes"));
            let (_, version) = requirement.split_once("==").unwrap_or_default();
            let version = version.split_whitespace().next().unwrap_or_default();
            let install = ["install", "--locked", "--quiet", "cargo-lambda", "--version", version, "--root"];
            let install = install.map(OsStr::new).into_iter().chain([folder.as_os_str()]);
            tools::run_step("cargo", install, BY_HAND).await?;
        }
        match Self::find(project).await {
            Some(found) => Ok(found),
            None => Err(Fault::of_tool("cargo-lambda is installed, but does not run", BY_HAND).into()),
        }
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
