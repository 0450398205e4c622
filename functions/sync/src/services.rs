use partner::PartnerApi;
use store::{AcceptedTokens, RegistrationLedger, UrlBeforeOurs};

use crate::{config::Config, limits::Limits, secrets::Secrets};

/// The configuration, and the services that it names.
pub(crate) struct Services {
    pub(crate) config: Config,
    pub(crate) limits: Limits,
    pub(crate) secrets: Secrets,
    pub(crate) partner: PartnerApi,
    pub(crate) accepted: AcceptedTokens,
    pub(crate) ledger: RegistrationLedger,
    pub(crate) url_before_ours: UrlBeforeOurs,
}

impl Services {
    pub(crate) fn new(
        config: Config,
        limits: Limits,
        secrets: aws_sdk_secretsmanager::Client,
        dynamodb: aws_sdk_dynamodb::Client,
    ) -> Self {
        Self {
            secrets: Secrets::new(secrets, &config),
            partner: PartnerApi::new(config.partner_api.clone(), limits.partner),
            accepted: AcceptedTokens::new(dynamodb.clone(), &config.events_table),
            ledger: RegistrationLedger::new(dynamodb.clone(), &config.events_table),
            url_before_ours: UrlBeforeOurs::new(dynamodb, &config.sealed_table),
            config,
            limits,
        }
    }
}
