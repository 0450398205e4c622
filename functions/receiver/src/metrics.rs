//! What the receiver counts: one document of metrics for each request. Every delivery that is not refused is in exactly one
//! of `Received`, `Queued`, `Lost` and `TooLarge`; one that was queued comes up again in what redrive counts.

use lambda::{Count, CountBy, Dimension, Document, Metrics, Millis};
use shared::{Kind, Timestamp};
use store::{Content, Delivery, Recorded};
use tokio::time::Instant;

use crate::authenticate::Refusal;

/// Recorded, duplicates and quarantined ones included; what is no event is of no known kind.
const RECEIVED: CountBy<Kind> = CountBy::named("Received");
const DUPLICATES: Count = Count::named("Duplicates");
const QUARANTINED: Count = Count::named("Quarantined");
const REFUSED: CountBy<Refusal> = CountBy::named("Refused");
/// Handed to the fallback queue in place of being recorded.
const QUEUED: Count = Count::named("Queued");
/// Neither recorded nor queued, and answered with 503.
const LOST: Count = Count::named("Lost");
const TOO_LARGE: Count = Count::named("TooLarge");
/// From the request to DynamoDB's word that the delivery is recorded.
const TIME_TO_RECORD: Millis = Millis::named("TimeToRecord");
/// From the request to the answer, whatever it is.
const ANSWER_TIME: Millis = Millis::named("AnswerTime");

impl Dimension for Refusal {
    const NAME: &'static str = "Cause";

    fn value(&self) -> &'static str {
        match self {
            Self::NoSourceAddress => "NoSourceAddress",
            Self::SourceAddress => "SourceAddress",
            Self::NoToken => "NoToken",
            Self::Token => "Token",
        }
    }
}

/// The metrics of one request while it is dealt with.
pub(crate) struct Tally<'a> {
    document: Document<'a>,
    started: Instant,
}

impl<'a> Tally<'a> {
    /// Starts with the request, from which its times are counted.
    pub(crate) fn start(metrics: &'a Metrics, received_at: Timestamp) -> Self {
        Self { document: metrics.document(received_at), started: Instant::now() }
    }

    pub(crate) fn recorded(&mut self, delivery: &Delivery, recorded: Recorded) {
        let kind = match &delivery.content {
            Content::Event(event) => &event.kind,
            Content::Quarantined { .. } => &Kind::Unnamed,
        };
        self.document.count_by(RECEIVED, kind, 1).millis(TIME_TO_RECORD, self.started.elapsed());
        match recorded {
            Recorded::Event => {}
            Recorded::Duplicate { .. } => {
                self.document.count(DUPLICATES, 1);
            }
            Recorded::Quarantined => {
                self.document.count(QUARANTINED, 1);
            }
        }
    }

    pub(crate) fn refused(&mut self, cause: Refusal) {
        self.document.count_by(REFUSED, &cause, 1);
    }

    pub(crate) fn queued(&mut self) {
        self.document.count(QUEUED, 1);
    }

    pub(crate) fn lost(&mut self) {
        self.document.count(LOST, 1);
    }

    pub(crate) fn too_large(&mut self) {
        self.document.count(TOO_LARGE, 1);
    }

    /// Ends with the answer. The lines are written before the runtime has it: once it has, the process may be frozen.
    pub(crate) fn answered(mut self) {
        self.document.millis(ANSWER_TIME, self.started.elapsed()).write();
    }
}
