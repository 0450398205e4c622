//! The functions that are measured, ours and the peers.

use std::path::{Path, PathBuf};

use crate::input::Input;

/// A function that is measured.
#[derive(Clone, Debug)]
pub struct BuiltFunction {
    /// What it is called in the tables.
    pub name: &'static str,
    /// What it is written for.
    pub role: Role,
    /// What Lambda would start.
    pub binary: PathBuf,
    /// The files and folders that are deployed.
    pub deployed: Vec<PathBuf>,
}

/// What a function is written for, and in what: its environment follows from that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Our receiver.
    Receiver,
    /// Our redrive.
    Redrive,
    /// A peer in Rust.
    Rust,
    /// A peer in Python, with this interpreter.
    Python(PathBuf),
    /// A peer for Node.js, with this program and this handler.
    Node(PathBuf, PathBuf),
}

impl BuiltFunction {
    /// One that is deployed as a single binary.
    pub fn single(name: &'static str, role: Role, folder: &Path) -> Self {
        let binary = folder.join(name).join("bootstrap");
        Self { name, role, deployed: vec![binary.clone()], binary }
    }

    /// Whether it is one of ours, without which there is nothing to compare.
    pub fn is_ours(&self) -> bool {
        matches!(self.role, Role::Receiver | Role::Redrive)
    }

    /// How it gets its events.
    pub fn input(&self) -> Input {
        if self.role == Role::Redrive { Input::Message } else { Input::Call }
    }
}
