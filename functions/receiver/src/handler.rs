use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use lambda::{Metrics, within};
use lambda_http::{Body, Response};
use shared::{FingerprintKey, Timestamp};
use store::{AcceptedTokens, Delivery, Recorded, Recorder};
use tokio::time::Instant;

use crate::{
    answer,
    arrive::{Arrival, LARGEST_BODY},
    authenticate::{Admitted, Gate},
    breaker::Breaker,
    budget,
    config::Config,
    fallback::FallbackQueue,
    gateway::GatewayRequest,
    known_tokens::KnownTokens,
    log,
    metrics::RequestMetrics,
    route::route,
};

/// The receiver, ready for requests.
pub struct Receiver {
    gate: Gate,
    fingerprint_key: FingerprintKey,
    recorder: Recorder,
    breaker: Breaker,
    fallback: FallbackQueue,
    metrics: Metrics,
}

impl Receiver {
    /// Starts the receiver: connects to DynamoDB and reads the accepted tokens, so that the first event does not wait for it.
    /// If DynamoDB does not answer, it gives up after a second and starts anyway.
    ///
    /// `dynamodb` has the time limits and retries of [`crate::DYNAMODB`], `queue` those of [`crate::QUEUE`].
    pub async fn start(
        config: Config,
        dynamodb: &SdkConfig,
        queue: &SdkConfig,
        metrics: Metrics,
        now: Timestamp,
    ) -> Self {
        let Config { recording, source_ips, unlisted_source } = config;
        let client = Client::new(dynamodb);
        let tokens = AcceptedTokens::new(client.clone(), &recording.store.events_table);
        Self {
            gate: Gate { source_ips, unlisted_source, tokens: KnownTokens::start(tokens, now).await },
            fingerprint_key: recording.fingerprint_key,
            recorder: Recorder::new(client, recording.store),
            breaker: Breaker::default(),
            fallback: FallbackQueue::new(queue, recording.fallback_queue),
            metrics,
        }
    }

    /// Answers one request, within 4 seconds whatever is down, and writes its metrics.
    pub async fn handle(&self, request: GatewayRequest, arrival: Arrival) -> Response<Body> {
        let mut metrics = RequestMetrics::start(&self.metrics, arrival.received_at);
        let answer = self.answer(request, arrival, &mut metrics).await;
        metrics.answered();
        answer
    }

    async fn answer(
        &self,
        request: GatewayRequest,
        arrival: Arrival,
        metrics: &mut RequestMetrics<'_>,
    ) -> Response<Body> {
        let presented_token = match route(&request) {
            Ok(presented_token) => presented_token.to_owned(),
            Err(misrouted) => return answer::misrouted(misrouted),
        };
        let call = match self.gate.authenticate(request, &presented_token, arrival).await {
            Ok(call) => call,
            Err(refused) => {
                log::refused(&refused);
                metrics.refused(refused.cause);
                return answer::refused();
            }
        };
        let body = &call.received().body;
        if body.len() > LARGEST_BODY {
            log::too_large(body.len(), &self.fingerprint_key.fingerprint(body), &call.received().request_id);
            metrics.too_large();
            return answer::too_large(body.len());
        }
        if call.is_checked() {
            self.record_or_queue(&call, metrics).await
        } else {
            self.queue_unchecked(&call, metrics).await
        }
    }

    /// Records a delivery, or else hands it to the fallback queue. While DynamoDB does not answer, the queue comes first.
    async fn record_or_queue(&self, call: &Admitted, metrics: &mut RequestMetrics<'_>) -> Response<Body> {
        let delivery = call.delivery(&self.fingerprint_key);
        let record_first = self.breaker.lets_through(delivery.received_at);
        let mut not_recorded = "DynamoDB did not answer the previous deliveries".to_owned();
        if record_first {
            match self.record(&delivery, metrics).await {
                Ok(answer) => return answer,
                Err(fault) => not_recorded = fault,
            }
        }
        let not_queued = match self.queue(call, &not_recorded, metrics).await {
            Ok(answer) => return answer,
            Err(fault) => fault,
        };
        if !record_first {
            match self.record(&delivery, metrics).await {
                Ok(answer) => return answer,
                Err(fault) => not_recorded = fault,
            }
        }
        self.lose(call, &not_recorded, &not_queued, metrics)
    }

    /// Hands a delivery whose token cannot be checked now to the fallback queue. Redrive checks it before it records anything.
    async fn queue_unchecked(&self, call: &Admitted, metrics: &mut RequestMetrics<'_>) -> Response<Body> {
        const NOT_RECORDED: &str = "the accepted webhook tokens cannot be read";
        match self.queue(call, NOT_RECORDED, metrics).await {
            Ok(answer) => answer,
            Err(not_queued) => self.lose(call, NOT_RECORDED, &not_queued, metrics),
        }
    }

    async fn record(&self, delivery: &Delivery, metrics: &mut RequestMetrics<'_>) -> Result<Response<Body>, String> {
        let started = Instant::now();
        let recorded: Result<Recorded, _> = within(budget::RECORD, "DynamoDB", self.recorder.record(delivery)).await;
        let timed_out = recorded.is_err() && started.elapsed() >= budget::TIMEOUT;
        if let Some(change) = self.breaker.note(timed_out, delivery.received_at) {
            log::breaker(change);
            metrics.breaker(change);
        }
        let recorded = recorded?;
        log::recorded(delivery, recorded);
        metrics.recorded(delivery, recorded);
        Ok(answer::recorded(delivery.id, recorded))
    }

    /// Queues a call. A write that DynamoDB carried out unnoticed does no harm: recording the same id again changes nothing.
    async fn queue(
        &self,
        call: &Admitted,
        not_recorded: &str,
        metrics: &mut RequestMetrics<'_>,
    ) -> Result<Response<Body>, String> {
        self.fallback.send(call.queued()).await?;
        log::queued(call, not_recorded);
        metrics.queued();
        Ok(answer::queued(call.received().id, call.is_held()))
    }

    fn lose(
        &self,
        call: &Admitted,
        not_recorded: &str,
        not_queued: &str,
        metrics: &mut RequestMetrics<'_>,
    ) -> Response<Body> {
        log::lost(call, &Delivery::decode(call.received(), &self.fingerprint_key), not_recorded, not_queued);
        metrics.lost();
        answer::unavailable()
    }
}
