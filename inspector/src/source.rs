//! The local run or stack that the pages show, and the state that all pages share.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Result;
use serde_json::Value;
use shared::EventId;
use store::{ForwardRecords, Reader, RegistrationLedger};

use super::{line_facts::LineReader, live::Live};

/// The local run or the stack that the pages show.
pub struct Source {
    /// Its deliveries and states, without secrets.
    pub reader: Reader,
    /// Reads its lines. The pages do not look for their keys in the sealed table.
    pub lines: LineReader,
    /// Its registration.
    pub ledger: RegistrationLedger,
    /// Its forwarded events; `None` when it has no forwarder, and then the pages show nothing about forwarding.
    pub forward_records: Option<ForwardRecords>,
    /// The deduplication window.
    pub dedup_window: Duration,
    /// The stack's name; `None` for the local run.
    pub stack: Option<String>,
    /// The arguments with which a `hooks` command targets it, quoted for a shell, each after a space.
    pub arguments: String,
    /// The actions of its pages; `None` for a stack, which is read-only.
    pub actions: Option<Actions>,
}

/// A function of the caller's that the pages run.
pub type Action<A, R> = Box<dyn Fn(A) -> Pin<Box<dyn Future<Output = Result<R>> + Send>> + Send + Sync>;

/// The actions of a local run's pages.
pub struct Actions {
    /// The names of the samples that can be sent.
    pub samples: Vec<String>,
    /// Posts the sample of a name to the webhook, as the provider would. Returns the status and the body of the answer.
    pub send: Action<String, (u16, String)>,
    /// Runs sync, as the schedule does. Returns its report.
    pub sync: Action<(), Value>,
    /// Reads the bytes of a quarantined delivery, which may contain secrets; `None` when they do not exist, or no longer.
    pub raw: Action<EventId, Option<Vec<u8>>>,
    /// Tries to record a quarantined delivery as an event. Returns the outcome in words.
    pub retry: Action<EventId, String>,
}

/// The outcome of an action, shown on the next page.
pub struct Notice {
    pub is_good: bool,
    pub text: String,
}

/// The state that all pages share.
pub struct Shown {
    pub source: Source,
    /// The streams of new deliveries.
    pub live: Arc<Live>,
    /// The outcome of the last action, until a page has shown it.
    pub notice: Mutex<Option<Notice>>,
}

pub type App = axum::extract::State<Arc<Shown>>;
