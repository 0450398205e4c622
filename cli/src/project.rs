use std::{
    env,
    fs::{self, File, OpenOptions, TryLockError},
    io::{ErrorKind, Write},
    net::SocketAddr,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// A checkout of the project.
pub struct Project {
    root: PathBuf,
}

/// The facts about a local run for the commands beside it, as in run.json.
#[derive(Serialize, Deserialize)]
pub struct Run {
    /// The process of `hooks dev`.
    pub pid: i32,
    /// The registered URL.
    pub webhook: String,
    /// The address of the webhook, which is that URL without its token.
    pub address: String,
    /// Address of the stand-in for the partner API.
    pub partner_api: String,
    /// Address of the functions.
    pub functions: SocketAddr,
    /// Address of DynamoDB.
    pub dynamodb: String,
    /// The name of the events table.
    pub events_table: String,
    /// The name of the sealed table.
    pub sealed_table: String,
    /// `DEDUP_WINDOW_SECONDS` of the functions.
    pub dedup_window_seconds: String,
    /// `RETENTION_DAYS` of the functions.
    pub retention_days: String,
    /// `ALLOWED_SOURCE_IPS` of the functions.
    pub allowed_source_ips: String,
    /// Address of SQS.
    pub sqs: String,
    /// The address of the fallback queue.
    pub fallback_queue: String,
    /// The address of the dead-letter queue.
    pub dead_letter_queue: String,
    /// The parts that hand events on; `None` when the local run has no publisher.
    pub handing_on: Option<HandingOn>,
}

/// The parts of a local run that hand events on, named like the outputs of a stack.
#[derive(Serialize, Deserialize)]
pub struct HandingOn {
    /// Address of EventBridge.
    pub event_bridge: String,
    pub event_bus_name: String,
    pub publish_failures_queue_url: String,
    /// The parts of the forwarder; `None` without an endpoint.
    pub forward: Option<Forward>,
}

/// The parts of a local run that send events to an endpoint, named like the outputs of a stack.
#[derive(Serialize, Deserialize)]
pub struct Forward {
    /// Address of Secrets Manager.
    pub secrets_manager: String,
    /// `FORWARD_URL` of the forwarder.
    pub forward_url: String,
    /// `FORWARD_TIMEOUT_SECONDS` of the forwarder.
    pub forward_timeout_seconds: String,
    pub forward_queue_url: String,
    pub forward_dead_letter_queue_url: String,
    pub forward_secret_id: String,
}

impl Project {
    /// Finds the checkout around the current folder.
    ///
    /// # Errors
    /// Fails when the current folder is not inside a checkout.
    pub fn find() -> Result<Self> {
        let here = env::current_dir().context("the current folder cannot be found")?;
        let is_root =
            |folder: &&Path| folder.join("template.yaml").is_file() && folder.join("functions/receiver").is_dir();
        match here.ancestors().find(is_root) {
            Some(root) => Ok(Self { root: root.to_owned() }),
            None => bail!(
                "{} is not inside a checkout of this project; go to its folder first, or name a deployed stack with --stack",
                here.display()
            ),
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder for the files of a local run, which no other user can read.
    ///
    /// # Errors
    /// Fails when it cannot be created.
    pub fn scratch(&self) -> Result<PathBuf> {
        let folder = self.root.join("target/hooks");
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        Ok(folder)
    }

    /// Checks that no local run is up: the commands could not tell two apart.
    ///
    /// # Errors
    /// Fails when a local run is up.
    pub fn check_that_none_runs(&self) -> Result<()> {
        match self.remembered()? {
            Some((run, true)) => bail!(
                "another local run is up (process {}, {}); end it first, or leave it up and use `cargo hooks dev --once`",
                run.pid,
                run.address
            ),
            _ => Ok(()),
        }
    }

    /// Remembers a local run for the commands beside it, until it is forgotten. The token is in it: only this user can read
    /// the file. The file is locked as long as this process lives, so that a killed run is recognised.
    ///
    /// # Errors
    /// Fails when the file cannot be written, or is that of a local run that is up.
    pub fn remember(&self, run: &Run) -> Result<Remembered> {
        let path = self.scratch()?.join("run.json");
        let text = serde_json::to_vec(run)?;
        let write = || {
            let mut file = OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(&path)?;
            file.try_lock()?;
            // A file of an earlier version has other permissions.
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            file.set_len(0)?;
            file.write_all(&text)?;
            Ok::<_, std::io::Error>(file)
        };
        let file = write().with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Remembered { path, _locked: file })
    }

    /// Returns the folder for the logs of a local run: another one while a run is up, whose logs it keeps.
    ///
    /// # Errors
    /// Fails when it cannot be created.
    pub fn logs(&self) -> Result<PathBuf> {
        let folder = match self.remembered()? {
            Some((_, true)) => self.scratch()?.join("once"),
            _ => return self.scratch(),
        };
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
        Ok(folder)
    }

    /// Returns the local run that is up.
    ///
    /// # Errors
    /// Fails when no local run is up. The message names `otherwise`, the option that needs none.
    pub fn running(&self, otherwise: &str) -> Result<Run> {
        let start = format!("start one with `cargo hooks dev` in another terminal, or give {otherwise}");
        match self.remembered()? {
            Some((run, true)) => Ok(run),
            Some((run, false)) => bail!("the local run that was up (process {}) was killed; {start}", run.pid),
            None => bail!("no local run is up; {start}"),
        }
    }

    /// Returns the last local run that has not ended by itself, and whether it is up: it holds the lock of its file.
    fn remembered(&self) -> Result<Option<(Run, bool)>> {
        let path = self.scratch()?.join("run.json");
        let read = || {
            let file = File::open(&path)?;
            let is_up = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
            Ok::<_, std::io::Error>((fs::read(&path)?, is_up))
        };
        let (text, is_up) = match read() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.with_context(|| format!("{} cannot be read", path.display()))?,
        };
        let run = serde_json::from_slice(&text).with_context(|| {
            format!("{} is not of this version; delete it and start the local run again", path.display())
        })?;
        Ok(Some((run, is_up)))
    }
}

/// Forgets the local run when it is dropped.
pub struct Remembered {
    path: PathBuf,
    _locked: File,
}

impl Drop for Remembered {
    fn drop(&mut self) {
        // If it is gone already, so much the better.
        let _ = fs::remove_file(&self.path);
    }
}

/// Returns a path relative to the current folder, if it is below that.
pub fn from_here(path: &Path) -> PathBuf {
    let here = env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).to_owned()
}
