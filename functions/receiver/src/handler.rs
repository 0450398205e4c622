use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use lambda::Metrics;
use lambda_http::{Body, Request, Response};
use shared::{FingerprintKey, QueuedDelivery, Timestamp, TokenCheck};
use store::{AcceptedTokens, Delivery, Recorded, Recorder};

use crate::{
    answer,
    arrive::{self, Arrival, LARGEST_BODY},
    authenticate::{CannotTell, Gate, Verdict, Verified},
    budget,
    config::Config,
    fallback::FallbackQueue,
    known_tokens::KnownTokens,
    log,
    metrics::Tally,
    route::route,
};

/// The receiver, ready for requests.
pub struct Receiver {
    gate: Gate,
    fingerprint_key: FingerprintKey,
    recorder: Recorder,
    fallback: FallbackQueue,
    metrics: Metrics,
}

impl Receiver {
    /// Does everything that the first event should not have to wait for: connects to DynamoDB, reads the accepted tokens.
    /// Takes a second when DynamoDB does not answer, and starts all the same.
    ///
    /// `dynamodb` has the patience [`crate::DYNAMODB`], `queue` has [`crate::QUEUE`].
    pub async fn start(
        config: Config,
        dynamodb: &SdkConfig,
        queue: &SdkConfig,
        metrics: Metrics,
        now: Timestamp,
    ) -> Self {
        let client = Client::new(dynamodb);
        let tokens = AcceptedTokens::new(client.clone(), &config.settings.events_table);
        Self {
            gate: Gate { allowed: config.allowed, tokens: KnownTokens::start(tokens, now).await },
            fingerprint_key: config.fingerprint_key,
            recorder: Recorder::new(client, config.settings),
            fallback: FallbackQueue::new(queue, config.fallback_queue),
            metrics,
        }
    }

    /// Answers one request, within 4 seconds whatever is down, and writes its metrics.
    pub async fn handle(&self, request: Request, arrival: Arrival) -> Response<Body> {
        let mut tally = Tally::start(&self.metrics, arrival.received_at);
        let answer = self.answer(request, arrival, &mut tally).await;
        tally.answered();
        answer
    }

    async fn answer(&self, request: Request, arrival: Arrival, tally: &mut Tally<'_>) -> Response<Body> {
        let call = match route(request) {
            Ok(call) => call,
            Err(misrouted) => return answer::misrouted(misrouted),
        };
        match self.gate.authenticate(call, arrival.received_at).await {
            Verdict::Verified(call) if call.body.len() > LARGEST_BODY => {
                self.refuse_size(&call.body, &call.request_id, tally)
            }
            Verdict::Verified(call) => self.keep(call, arrival, tally).await,
            Verdict::Refused(refused) => {
                log::refused(&refused);
                tally.refused(refused.cause);
                answer::refused()
            }
            Verdict::CannotTell(call) if call.body.len() > LARGEST_BODY => {
                self.refuse_size(&call.body, &call.request_id, tally)
            }
            Verdict::CannotTell(call) => self.set_aside(call, arrival, tally).await,
        }
    }

    /// Records a delivery, or else hands it to the fallback queue.
    async fn keep(&self, call: Verified, arrival: Arrival, tally: &mut Tally<'_>) -> Response<Body> {
        let received = arrive::verified(call, arrival);
        let delivery = Delivery::decode(&received, &self.fingerprint_key);
        let not_recorded = match self.record(&delivery, budget::RECORD).await {
            Ok(recorded) => {
                log::recorded(&delivery, recorded);
                tally.recorded(&delivery, recorded);
                return answer::recorded(delivery.id, recorded);
            }
            Err(fault) => fault,
        };
        // A write that was carried out unnoticed is no harm: recording the same id again changes nothing.
        let queued = QueuedDelivery { received, token: TokenCheck::Accepted };
        match self.fallback.send(&queued, budget::SEND).await {
            Ok(()) => {
                log::queued(&queued, &not_recorded);
                tally.queued();
                answer::queued(delivery.id)
            }
            Err(not_queued) => {
                log::lost(&delivery, &not_recorded, &not_queued);
                tally.lost();
                answer::unavailable()
            }
        }
    }

    /// Hands a delivery whose token cannot be checked now to the fallback queue, to be checked before it is recorded.
    async fn set_aside(&self, call: CannotTell, arrival: Arrival, tally: &mut Tally<'_>) -> Response<Body> {
        const NOT_RECORDED: &str = "the accepted webhook tokens cannot be read";
        let queued = arrive::unchecked(call, arrival);
        match self.fallback.send(&queued, budget::SEND).await {
            Ok(()) => {
                log::queued(&queued, NOT_RECORDED);
                tally.queued();
                answer::queued(queued.received.id)
            }
            Err(not_queued) => {
                log::lost(&Delivery::decode(&queued.received, &self.fingerprint_key), NOT_RECORDED, &not_queued);
                tally.lost();
                answer::unavailable()
            }
        }
    }

    fn refuse_size(&self, body: &[u8], request_id: &str, tally: &mut Tally<'_>) -> Response<Body> {
        log::too_large(body.len(), &self.fingerprint_key.fingerprint(body), request_id);
        tally.too_large();
        answer::too_large(body.len())
    }

    async fn record(&self, delivery: &Delivery, within: Duration) -> Result<Recorded, String> {
        match tokio::time::timeout(within, self.recorder.record(delivery)).await {
            Ok(recorded) => recorded.map_err(|error| error.to_string()),
            Err(_) => Err(format!("DynamoDB: not recorded within {} ms", within.as_millis())),
        }
    }
}
