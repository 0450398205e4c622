//! The functions that are measured, ours and the peers.

use std::path::{Path, PathBuf};

use crate::input::Input;

/// A function that is measured.
#[derive(Clone, Debug)]
pub struct BuiltFunction {
    /// Its name in the tables.
    pub name: &'static str,
    /// Its role.
    pub role: Role,
    /// The file that Lambda would start.
    pub binary: PathBuf,
    /// The files and folders that are deployed.
    pub deployed: Vec<PathBuf>,
}

/// The role of a function, which decides its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Our receiver.
    Receiver,
    /// Our redrive.
    Redrive,
    /// Our publisher.
    Publisher,
    /// Our forwarder.
    Forwarder,
    /// The minimum of a function that makes the publisher's calls.
    PublisherFloor,
    /// The minimum of one that makes the forwarder's.
    ForwarderFloor,
    /// Another peer in Rust.
    Rust,
    /// A peer in Python, with this interpreter.
    Python(PathBuf),
    /// A peer for Node.js, with this program and this handler.
    Node(PathBuf, PathBuf),
}

impl BuiltFunction {
    /// A function that is deployed as a single binary, which has its name.
    pub fn single(name: &'static str, role: Role, folder: &Path) -> Self {
        Self::of_binary(name, role, name, folder)
    }

    /// A function that is deployed as a single binary of another name.
    pub fn of_binary(name: &'static str, role: Role, binary: &str, folder: &Path) -> Self {
        let binary = folder.join(binary).join("bootstrap");
        Self { name, role, deployed: vec![binary.clone()], binary }
    }

    /// Tells whether it is one of ours. Those are never left out.
    pub fn is_ours(&self) -> bool {
        matches!(self.role, Role::Receiver | Role::Redrive | Role::Publisher | Role::Forwarder)
    }

    /// The form of its events.
    pub fn input(&self) -> Input {
        match self.role {
            Role::Redrive => Input::Message,
            Role::Publisher | Role::PublisherFloor => Input::StreamRecord,
            Role::Forwarder | Role::ForwarderFloor => Input::ForwardMessage,
            Role::Receiver | Role::Rust | Role::Python(_) | Role::Node(..) => Input::Call,
        }
    }
}
