//! The receiver's metrics: one document for each request. Every authenticated delivery is in exactly one of `Received`,
//! `Queued`, `Lost` and `TooLarge`. A queued one is counted once more by redrive.

use lambda::{Count, CountBy, Dimension, Document, Metrics, Millis};
use shared::{Kind, Timestamp};
use store::{Content, Delivery, QuarantineCause, Recorded};
use tokio::time::Instant;

use crate::{authenticate::Refusal, breaker::Change};

/// Deliveries that were answered with 200, recorded or queued. One metric for both, so that an alarm on silence needs no
/// metric math.
const ACKNOWLEDGED: Count = Count::named("Acknowledged");
/// Recorded deliveries, duplicates and quarantined ones included; a quarantined one is of kind `other`.
const RECEIVED: CountBy<Kind> = CountBy::named("Received");
const DUPLICATES: Count = Count::named("Duplicates");
/// Deliveries recorded in quarantine, held ones included.
const QUARANTINED: Count = Count::named("Quarantined");
/// Deliveries recorded in quarantine because their source address is not on the list.
const HELD: Count = Count::named("Held");
/// Deliveries recorded in quarantine because their body is not an event.
const UNDECODABLE: Count = Count::named("Undecodable");
const REFUSED: CountBy<Refusal> = CountBy::named("Refused");
/// Deliveries handed to the fallback queue instead of being recorded.
const QUEUED: Count = Count::named("Queued");
/// Deliveries that were neither recorded nor queued, and answered with 503.
const LOST: Count = Count::named("Lost");
const TOO_LARGE: Count = Count::named("TooLarge");
/// The breaker has opened: this execution environment hands deliveries straight to the fallback queue.
const BREAKER_OPENED: Count = Count::named("BreakerOpened");
/// The breaker has closed: this execution environment records deliveries again.
const BREAKER_CLOSED: Count = Count::named("BreakerClosed");
/// Time from the request until DynamoDB has confirmed that the delivery is recorded.
const TIME_TO_RECORD: Millis = Millis::named("TimeToRecord");
/// Time from the request to the answer, whatever it is.
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

/// The metrics of one request, from its start to its answer.
pub(crate) struct RequestMetrics<'a> {
    document: Document<'a>,
    started: Instant,
}

impl<'a> RequestMetrics<'a> {
    /// Starts with the request; durations are measured from here.
    pub(crate) fn start(metrics: &'a Metrics, received_at: Timestamp) -> Self {
        Self { document: metrics.document(received_at), started: Instant::now() }
    }

    pub(crate) fn recorded(&mut self, delivery: &Delivery, recorded: Recorded) {
        let kind = match &delivery.content {
            Content::Event(event) => &event.kind,
            Content::Quarantined { cause, .. } => {
                let cause = match cause {
                    QuarantineCause::UnlistedSource => HELD,
                    QuarantineCause::Undecodable(_) => UNDECODABLE,
                };
                self.document.count(QUARANTINED, 1).count(cause, 1);
                &Kind::Unnamed
            }
        };
        self.document.count(ACKNOWLEDGED, 1).count_by(RECEIVED, kind, 1).millis(TIME_TO_RECORD, self.started.elapsed());
        if matches!(recorded, Recorded::Duplicate { .. }) {
            self.document.count(DUPLICATES, 1);
        }
    }

    pub(crate) fn refused(&mut self, cause: Refusal) {
        self.document.count_by(REFUSED, &cause, 1);
    }

    pub(crate) fn queued(&mut self) {
        self.document.count(ACKNOWLEDGED, 1).count(QUEUED, 1);
    }

    pub(crate) fn lost(&mut self) {
        self.document.count(LOST, 1);
    }

    pub(crate) fn too_large(&mut self) {
        self.document.count(TOO_LARGE, 1);
    }

    pub(crate) fn breaker(&mut self, change: Change) {
        let metric = match change {
            Change::Opened => BREAKER_OPENED,
            Change::Closed => BREAKER_CLOSED,
        };
        self.document.count(metric, 1);
    }

    /// Ends with the answer. The lines are written before the runtime has the answer: after that, the process may be frozen.
    pub(crate) fn answered(mut self) {
        self.document.millis(ANSWER_TIME, self.started.elapsed()).write();
    }
}
