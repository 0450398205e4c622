use lambda::InvalidVariable;
use partner::{Limits, LineApi};
use store::Lines;

use crate::config::LinesConfig;

/// The services that the pass over the lines needs beside those of the inventory.
pub(crate) struct LinesServices {
    pub(crate) lines: Lines,
    /// The configured webhook and the API that has it; `None` when no URL is configured.
    pub(crate) webhook: Result<Option<(LinesConfig, LineApi)>, InvalidVariable>,
    pub(crate) limits: Limits,
}

impl LinesServices {
    pub(crate) fn new(
        config: Result<Option<LinesConfig>, InvalidVariable>,
        limits: Limits,
        dynamodb: aws_sdk_dynamodb::Client,
        events_table: &str,
    ) -> Self {
        let with_api = |config: LinesConfig| {
            let api = LineApi::new(config.api.clone(), limits);
            (config, api)
        };
        Self { lines: Lines::new(dynamodb, events_table), webhook: config.map(|config| config.map(with_api)), limits }
    }
}
