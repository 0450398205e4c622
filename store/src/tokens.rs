use std::time::Duration;

use aws_sdk_dynamodb::{Client, operation::put_item::PutItemError, types::ReturnValuesOnConditionCheckFailure};
use shared::{Timestamp, TokenHash};

use crate::{
    StoreError,
    delivery::{Attributes, text},
    keys,
};

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

impl AcceptedTokens {
    /// The tokens that stand in an events table.
    pub fn new(client: Client, events_table: impl Into<String>) -> Self {
        Self { client, events_table: events_table.into() }
    }

    /// Accepts a token, from now on if it was not accepted before. Answers since when it has been: receivers know of it
    /// [`REREAD_INTERVAL`] later.
    ///
    /// # Errors
    /// When DynamoDB does not carry it out.
    pub async fn accept(&self, token: &TokenHash, now: Timestamp) -> Result<Timestamp, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.events_table)
            .item(keys::PK, text(keys::TOKENS))
            .item(keys::SK, text(keys::token(token)))
            .item("accepted_since", text(now))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match put.send().await {
            Ok(_) => Ok(now),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                    Attributes(&refused.item.clone().unwrap_or_default()).parsed("accepted_since")
                }
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
            .expression_attribute_values(":tokens", text(keys::TOKENS))
            .projection_expression(keys::SK);
        let items = query.into_paginator().items().send().try_collect().await;
        let items = items.map_err(|error| StoreError::dynamodb(&error))?;
        Ok(items.iter().filter_map(|item| keys::read_token(item.get(keys::SK)?.as_s().ok()?)).collect())
    }
}
