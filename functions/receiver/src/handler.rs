use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use lambda_http::{Body, Request, Response};
use shared::{FingerprintKey, Timestamp};
use store::{AcceptedTokens, Delivery, Recorded, Recorder};

use crate::{
    answer,
    authenticate::{Gate, Verdict},
    budget,
    config::Config,
    decode::{Arrival, LARGEST_BODY, decode},
    known_tokens::KnownTokens,
    log,
    route::route,
};

/// The receiver, ready for requests.
pub struct Receiver {
    gate: Gate,
    fingerprint_key: FingerprintKey,
    recorder: Recorder,
}

impl Receiver {
    /// Does everything that the first event should not have to wait for: connects to DynamoDB, reads the accepted tokens.
    /// Takes a second when DynamoDB does not answer, and starts all the same.
    pub async fn start(config: Config, aws: &SdkConfig, now: Timestamp) -> Self {
        let client = Client::new(aws);
        let tokens = AcceptedTokens::new(client.clone(), &config.settings.events_table);
        Self {
            gate: Gate { allowed: config.allowed, tokens: KnownTokens::start(tokens, now).await },
            fingerprint_key: config.fingerprint_key,
            recorder: Recorder::new(client, config.settings),
        }
    }

    /// Answers one request, within 4 seconds whatever is down.
    pub async fn handle(&self, request: Request, arrival: Arrival) -> Response<Body> {
        let call = match route(request) {
            Ok(call) => call,
            Err(misrouted) => return answer::misrouted(misrouted),
        };
        let verified = match self.gate.authenticate(call, arrival.received_at).await {
            Verdict::Verified(verified) => verified,
            Verdict::Refused(refusal) => {
                log::refused(&refusal);
                return answer::refused();
            }
            Verdict::CannotTell(call) => {
                log::not_authenticated(&call, &self.fingerprint_key);
                return answer::unavailable();
            }
        };
        if verified.body.len() > LARGEST_BODY {
            log::too_large(&verified, &self.fingerprint_key);
            return answer::too_large(verified.body.len());
        }
        let delivery = decode(verified, &self.fingerprint_key, arrival);
        match self.record(&delivery, budget::RECORD).await {
            Ok(recorded) => {
                log::recorded(&delivery, recorded);
                answer::recorded(delivery.id, recorded)
            }
            Err(fault) => {
                log::not_recorded(&delivery, &fault);
                answer::unavailable()
            }
        }
    }

    async fn record(&self, delivery: &Delivery, within: Duration) -> Result<Recorded, String> {
        match tokio::time::timeout(within, self.recorder.record(delivery)).await {
            Ok(recorded) => recorded.map_err(|error| error.to_string()),
            Err(_) => Err(format!("DynamoDB: not recorded within {} ms", within.as_millis())),
        }
    }
}
