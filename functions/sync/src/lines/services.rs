use lambda::InvalidVariable;
use partner::{Limits, LineApi};
use shared::FingerprintKey;
use store::{Inventory, Lines, Reader, SealedReader};

use crate::config::{InventoryConfig, LinesConfig};

/// The services that the pass over the lines needs.
pub(crate) struct LinesServices {
    pub(crate) lines: Lines,
    pub(crate) reader: Reader,
    pub(crate) sealed: SealedReader,
    pub(crate) inventory: Inventory,
    pub(crate) fingerprint_key: FingerprintKey,
    /// The configured webhook and the API that has it; `None` when no URL is configured.
    pub(crate) webhook: Result<Option<(LinesConfig, LineApi)>, InvalidVariable>,
    pub(crate) limits: Limits,
}

impl LinesServices {
    pub(crate) fn new(
        config: Result<Option<LinesConfig>, InvalidVariable>,
        recording: &InventoryConfig,
        limits: Limits,
        dynamodb: &aws_sdk_dynamodb::Client,
    ) -> Self {
        let settings = &recording.recording.store;
        let with_api = |config: LinesConfig| {
            let api = LineApi::new(config.api.clone(), limits);
            (config, api)
        };
        let webhook = config.map(|config| config.map(with_api));
        Self {
            lines: Lines::new(dynamodb.clone(), &settings.events_table),
            reader: Reader::new(dynamodb.clone(), &settings.events_table),
            sealed: SealedReader::new(dynamodb.clone(), &settings.sealed_table),
            inventory: Inventory::new(dynamodb.clone(), &settings.events_table),
            fingerprint_key: recording.recording.fingerprint_key.clone(),
            webhook,
            limits,
        }
    }
}
