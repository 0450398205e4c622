//! The metrics of the forwarder: one document for each batch.

use std::time::Duration;

use lambda::{Count, CountBy, Dimension, Document, Millis};
use outbound::Refusal;
use shared::Kind;

/// Events that the endpoint accepted.
const FORWARDED: CountBy<Kind> = CountBy::named("Forwarded");
/// Attempts that the endpoint refused, and that are retried.
const FORWARD_REFUSED: CountBy<RefusalCause> = CountBy::named("ForwardRefused");
/// Events that became dead letters.
const FORWARD_DEAD_LETTERS: Count = Count::named("ForwardDeadLetters");
/// Messages that were delayed by an internal fault.
const FORWARD_FAULTS: Count = Count::named("ForwardFaults");
/// Time from the receipt of an event until the endpoint accepted it.
const FORWARD_LAG: Millis = Millis::named("ForwardLag");

/// The outcome of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The endpoint accepted the event.
    Taken {
        kind: String,
        /// Time since the receipt of the event.
        lag: Duration,
    },
    /// The endpoint refused the event; it is retried later.
    Refused(Refusal),
    /// The event became a dead letter.
    DeadLetter,
    /// The message came before its due time, and keeps waiting.
    Early,
    /// The endpoint accepted the event before, or it is a dead letter already.
    NothingToSend,
    /// The event was not sent, or its refusal was not recorded, because of an internal fault.
    OwnFault,
}

impl Outcome {
    /// Returns whether the message stays in the queue.
    pub(crate) fn stays(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Early | Self::OwnFault)
    }
}

/// The kind of a refusal, as a dimension.
struct RefusalCause(&'static str);

impl Dimension for RefusalCause {
    const NAME: &'static str = "Cause";

    fn value(&self) -> &'static str {
        self.0
    }
}

/// Counts the outcome of a message.
pub(crate) fn count(document: &mut Document<'_>, outcome: &Outcome) {
    match outcome {
        Outcome::Taken { kind, lag } => document.count_by(FORWARDED, &Kind::of(kind), 1).millis(FORWARD_LAG, *lag),
        Outcome::Refused(refusal) => document.count_by(FORWARD_REFUSED, &cause(refusal), 1),
        Outcome::DeadLetter => document.count(FORWARD_DEAD_LETTERS, 1),
        Outcome::OwnFault => document.count(FORWARD_FAULTS, 1),
        Outcome::Early | Outcome::NothingToSend => document,
    };
}

fn cause(refusal: &Refusal) -> RefusalCause {
    RefusalCause(match refusal.status() {
        None => "NoAnswer",
        Some(300..400) => "Redirect",
        Some(400..500) => "4xx",
        Some(_) => "5xx",
    })
}
