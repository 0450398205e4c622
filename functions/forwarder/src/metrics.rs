//! What the forwarder counts: one document of metrics for each batch.

use std::time::Duration;

use lambda::{Count, CountBy, Dimension, Document, Millis};
use outbound::Refusal;
use shared::Kind;

/// Events that the endpoint took.
const FORWARDED: CountBy<Kind> = CountBy::named("Forwarded");
/// Attempts that the endpoint did not take, and that are made again.
const FORWARD_REFUSED: CountBy<RefusalCause> = CountBy::named("ForwardRefused");
/// Events that were given up.
const FORWARD_DEAD_LETTERS: Count = Count::named("ForwardDeadLetters");
/// Messages that were put off by a fault of our own side.
const FORWARD_FAULTS: Count = Count::named("ForwardFaults");
/// Time from the receipt of an event until the endpoint took it.
const FORWARD_LAG: Millis = Millis::named("ForwardLag");

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The endpoint took the event.
    Taken {
        kind: String,
        /// Since the event was received.
        lag: Duration,
    },
    /// The endpoint did not take it; it is offered again later.
    Refused(Refusal),
    /// It was given up.
    DeadLetter,
    /// It came before its time, and waits on.
    Early,
    /// The event is not in the table any more.
    Gone,
    /// It was not offered because of a fault of our own side.
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

/// Counts what became of a message.
pub(crate) fn count(document: &mut Document<'_>, outcome: &Outcome) {
    match outcome {
        Outcome::Taken { kind, lag } => document.count_by(FORWARDED, &Kind::of(kind), 1).millis(FORWARD_LAG, *lag),
        Outcome::Refused(refusal) => document.count_by(FORWARD_REFUSED, &cause(refusal), 1),
        Outcome::DeadLetter => document.count(FORWARD_DEAD_LETTERS, 1),
        Outcome::OwnFault => document.count(FORWARD_FAULTS, 1),
        Outcome::Early | Outcome::Gone => document,
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
