use std::time::Duration;

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use shared::{Timestamp, TokenHash};

use crate::{StoreError, keys};

/// How long the receiver waits at least before it reads the accepted tokens once more because it met one that it does not
/// know. Whoever has accepted a new token waits longer than this before it lets the token be used: then no receiver that
/// read the tokens before can refuse it.
pub const REREAD_INTERVAL: Duration = Duration::from_secs(2);

/// The webhook tokens with which the receiver lets a caller in, as hashes; the tokens themselves are not in the table.
#[derive(Clone, Debug)]
pub struct AcceptedTokens {
    client: Client,
    events_table: String,
}

/// What accepting a token has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It was not accepted before: receivers learn of it within [`REREAD_INTERVAL`].
    New,
    /// It was accepted already.
    Known,
}

impl AcceptedTokens {
    /// The tokens that stand in an events table.
    pub fn new(client: Client, events_table: impl Into<String>) -> Self {
        Self { client, events_table: events_table.into() }
    }

    /// Accepts a token from now on.
    ///
    /// # Errors
    /// When DynamoDB does not carry it out.
    pub async fn accept(&self, token: &TokenHash, now: Timestamp) -> Result<Acceptance, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.events_table)
            .item(keys::PK, AttributeValue::S(keys::TOKENS.to_owned()))
            .item(keys::SK, AttributeValue::S(keys::token(token)))
            .item("accepted_since", AttributeValue::S(now.to_string()))
            .condition_expression("attribute_not_exists(pk)");
        match put.send().await {
            Ok(_) => Ok(Acceptance::New),
            Err(error) => match error.as_service_error() {
                Some(refused) if refused.is_conditional_check_failed_exception() => Ok(Acceptance::Known),
                _ => Err(StoreError::dynamodb(&error)),
            },
        }
    }

    /// All accepted tokens, as of now.
    ///
    /// # Errors
    /// When DynamoDB does not answer with them.
    pub async fn read(&self) -> Result<Vec<TokenHash>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.events_table)
            .consistent_read(true)
            .key_condition_expression("pk = :tokens")
            .expression_attribute_values(":tokens", AttributeValue::S(keys::TOKENS.to_owned()))
            .projection_expression(keys::SK);
        let items = query.into_paginator().items().send().try_collect().await;
        let items = items.map_err(|error| StoreError::dynamodb(&error))?;
        Ok(items.iter().filter_map(|item| keys::read_token(item.get(keys::SK)?.as_s().ok()?)).collect())
    }
}
