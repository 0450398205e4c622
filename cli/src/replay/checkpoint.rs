//! The progress of a replay, in a file until it is complete.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{ErrorKind, Write},
    ops::Range,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::{EventId, Timestamp};

/// The progress of a replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Start of the time range of the events. It stays the same although "2 hours ago" moves on.
    pub since: Timestamp,
    /// End of the time range.
    pub until: Timestamp,
    /// The event that was dealt with last.
    pub last: Option<EventId>,
    /// The numbers of events up to it.
    #[serde(flatten)]
    pub counts: Counts,
    /// The events up to it that the destination refused, with `--keep-going`.
    #[serde(default)]
    pub refused: Vec<Refused>,
}

/// The numbers of events by their outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Acknowledged by the destination.
    pub handed_over: u64,
    /// Not sent because they are duplicates.
    pub duplicates: u64,
    /// Not sent because they are quarantined and have no body.
    pub undecodable: u64,
    /// Not sent because they are events of `hooks doctor`.
    pub doctor: u64,
    /// Not sent because `--skip` names them.
    pub named: u64,
    /// Not sent because the endpoint accepted them before.
    pub taken_before: u64,
}

/// An event that the destination refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub id: EventId,
    /// The destination's answer.
    pub answer: String,
}

impl Checkpoint {
    /// Returns the checkpoint at the start of a replay.
    pub fn start(times: Range<Timestamp>) -> Self {
        let Range { start: since, end: until } = times;
        Self { since, until, last: None, counts: Counts::default(), refused: Vec::new() }
    }

    /// Returns the time range of the events.
    pub fn times(&self) -> Range<Timestamp> {
        self.since..self.until
    }
}

/// The file with a replay's checkpoint. Only one process has it at a time.
pub struct CheckpointFile {
    file: PathBuf,
    /// The system releases the lock when the process ends, however it ends. The lock file stays: another process may have just opened it.
    _lock: File,
}

impl CheckpointFile {
    /// Locks the file of a replay in a folder. Only a hash of its identity is written.
    ///
    /// # Errors
    /// Fails when another process has it, or the folder cannot be written to.
    pub fn lock(folder: &Path, identity: &impl Serialize) -> Result<Self> {
        let hash = Sha256::digest(serde_json::to_vec(identity)?);
        let hash: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let file = folder.join(format!("replay-{hash}.json"));
        let open = || {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            OpenOptions::new().create(true).append(true).mode(0o600).open(file.with_extension("lock"))
        };
        let lock = open().with_context(|| format!("{} cannot be written to", folder.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { file, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                bail!("the same replay is already running; wait for it to end, or end it first")
            }
            Err(TryLockError::Error(error)) => Err(error).context(format!("{} cannot be locked", folder.display())),
        }
    }

    /// Reads the checkpoint of an unfinished replay.
    ///
    /// # Errors
    /// Fails when it cannot be read.
    pub fn read(&self) -> Result<Option<Checkpoint>> {
        let text = match fs::read(&self.file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.with_context(|| format!("{} cannot be read", self.file.display()))?,
        };
        let checkpoint = serde_json::from_slice(&text);
        checkpoint.map(Some).with_context(|| {
            format!(
                "{} is no checkpoint of this version; delete it to start the replay from the beginning",
                self.file.display()
            )
        })
    }

    /// Replaces the checkpoint, as a whole or not at all.
    ///
    /// # Errors
    /// Fails when it cannot be written.
    pub fn write(&self, checkpoint: &Checkpoint) -> Result<()> {
        let text = serde_json::to_vec(checkpoint)?;
        let new = self.file.with_extension("new");
        let write = || {
            let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&text)?;
            fs::rename(&new, &self.file)
        };
        write().with_context(|| format!("the checkpoint {} cannot be written", self.file.display()))
    }

    /// Removes the checkpoint.
    ///
    /// # Errors
    /// Fails when it cannot be removed.
    pub fn clear(&self) -> Result<()> {
        fs::remove_file(&self.file).with_context(|| format!("the checkpoint {} cannot be removed", self.file.display()))
    }
}

/// Returns the user's folder for checkpoints, given the variables `XDG_STATE_HOME` and `HOME`.
///
/// # Errors
/// Fails when neither is an absolute path.
pub fn folder(state_home: Option<OsString>, home: Option<OsString>) -> Result<PathBuf> {
    // The XDG Base Directory Specification has relative paths ignored.
    let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute(state_home).or_else(|| absolute(home).map(|home| home.join(".local/state")));
    Ok(state.context("no folder for the checkpoint: set HOME, or XDG_STATE_HOME, to an absolute path")?.join("hooks"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_read_as_it_was_written() {
        let at = Timestamp::from_micros;
        let id = EventId::new(at(1_795_339_800_000_000), [7; 8]);
        let checkpoint = Checkpoint {
            last: Some(id),
            counts: Counts { handed_over: 3, duplicates: 2, undecodable: 1, doctor: 4, named: 5, taken_before: 6 },
            refused: vec![Refused { id, answer: "400".to_owned() }],
            ..Checkpoint::start(at(3)..at(4))
        };
        for checkpoint in [Checkpoint::start(at(1)..at(2)), checkpoint] {
            let written = serde_json::to_vec(&checkpoint).unwrap();
            assert_eq!(serde_json::from_slice::<Checkpoint>(&written).unwrap(), checkpoint);
        }
        assert!(serde_json::from_str::<Checkpoint>(r#"{"since":"1970-01-01T00:00:00.000001Z"}"#).is_err());
    }

    #[test]
    fn a_checkpoint_of_an_earlier_version_is_read() {
        let written = r#"{"since":"1970-01-01T00:00:00.000001Z","until":"1970-01-01T00:00:00.000002Z","last":null,"handed_over":1,"duplicates":0,"undecodable":0,"doctor":0}"#;
        let checkpoint: Checkpoint = serde_json::from_str(written).unwrap();
        assert_eq!((checkpoint.counts.handed_over, checkpoint.refused), (1, Vec::new()));
    }

    #[test]
    fn the_folder_is_the_one_for_state() {
        let folder = |state: Option<&str>, home: Option<&str>| folder(state.map(Into::into), home.map(Into::into)).ok();
        assert_eq!(folder(Some("/state"), Some("/home/me")), Some("/state/hooks".into()));
        assert_eq!(folder(None, Some("/home/me")), Some("/home/me/.local/state/hooks".into()));
        assert_eq!(folder(Some("state"), Some("/home/me")), Some("/home/me/.local/state/hooks".into()));
        assert_eq!(folder(Some(""), None), None);
    }
}
