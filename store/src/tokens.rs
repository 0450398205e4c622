use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use shared::{Timestamp, TokenHash};

use crate::{
    delivery::{Attributes, Item, text},
    error::StoreError,
    keys,
};

/// Minimum time between two reads of the accepted tokens by a receiver that gets an unknown token. After accepting a new
/// token, wait longer than this before using it: no receiver can then refuse it from an earlier read.
pub const REREAD_INTERVAL: Duration = Duration::from_secs(2);

/// Time for which the item of a token is kept after the end of its acceptance. Deliveries received in time are recorded
/// however late redrive processes them: the two queues keep a message for 14 days, and each redrive of a dead letter
/// restarts those. An item has a hundred bytes.
const KEPT_AFTER: Duration = Duration::from_hours(400 * 24);

/// The hash of a webhook token that the receiver accepts or accepted.
#[derive(Clone, Copy, Debug)]
pub struct AcceptedToken {
    /// SHA-256 of the token.
    pub hash: TokenHash,
    /// Start of its acceptance, if known.
    pub since: Option<Timestamp>,
    /// End of its acceptance; `None` while it has no successor.
    pub until: Option<Timestamp>,
}

impl AcceptedToken {
    /// Returns whether a call received at `at` with this token is accepted. Takes the same time for any token.
    pub fn lets_in(&self, presented: &TokenHash, at: Timestamp) -> bool {
        self.hash.matches(presented) & self.is_accepted(at)
    }

    /// Returns whether the token is accepted at a time.
    pub fn is_accepted(&self, at: Timestamp) -> bool {
        self.until.is_none_or(|until| at < until)
    }

    /// Reads an item. `None` for one that cannot be read: it must not block the callers with other tokens.
    fn read(item: &Item) -> Option<Self> {
        let attributes = Attributes(item);
        Some(Self {
            hash: keys::read_token(attributes.text(keys::SK).ok()?)?,
            since: attributes.parsed("accepted_since").ok(),
            until: attributes.optional("accepted_until", |until| until.parse().ok()).ok()?,
        })
    }
}

/// The accepted webhook tokens, as hashes; the tokens themselves are not stored.
#[derive(Clone, Debug)]
pub struct AcceptedTokens {
    client: Client,
    events_table: String,
}

impl AcceptedTokens {
    /// Creates the list of tokens in an events table.
    pub fn new(client: Client, events_table: impl Into<String>) -> Self {
        Self { client, events_table: events_table.into() }
    }

    /// Accepts a token without an end, and returns the start of its acceptance: `now`, or an earlier time. All receivers
    /// know of it after [`REREAD_INTERVAL`].
    ///
    /// # Errors
    /// Fails when DynamoDB refuses or does not answer.
    pub async fn accept(&self, token: &TokenHash, now: Timestamp) -> Result<Timestamp, StoreError> {
        let update = self
            .update(token)
            .update_expression("SET accepted_since = :now REMOVE accepted_until, expires_at")
            .condition_expression("attribute_not_exists(accepted_since) OR attribute_exists(accepted_until)")
            .expression_attribute_values(":now", text(now))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match update.send().await {
            Ok(_) => Ok(now),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    Attributes(&refused.item.clone().unwrap_or_default()).parsed("accepted_since")
                }
                _ => Err(StoreError::dynamodb(&error)),
            },
        }
    }

    /// Ends the acceptance of a token at a time. A token that already has an end keeps it.
    ///
    /// # Errors
    /// Fails when DynamoDB refuses or does not answer.
    pub async fn retire(&self, token: &TokenHash, until: Timestamp) -> Result<(), StoreError> {
        let update = self
            .update(token)
            .update_expression("SET accepted_until = :until, expires_at = :expires_at")
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(accepted_until)")
            .expression_attribute_values(":until", text(until))
            .expression_attribute_values(
                ":expires_at",
                AttributeValue::N(until.plus(KEPT_AFTER).as_secs().to_string()),
            );
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(StoreError::dynamodb(&error)),
        }
    }

    fn update(&self, token: &TokenHash) -> UpdateItemFluentBuilder {
        let update = self.client.update_item().table_name(&self.events_table);
        update.key(keys::PK, text(keys::TOKENS)).key(keys::SK, text(keys::token(token)))
    }

    /// Returns all tokens, except those that ended more than a year ago.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer.
    pub async fn read(&self) -> Result<Vec<AcceptedToken>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.events_table)
            .consistent_read(true)
            .key_condition_expression("pk = :tokens")
            .expression_attribute_values(":tokens", text(keys::TOKENS));
        let items = query.into_paginator().items().send().try_collect().await;
        let items: Vec<Item> = items.map_err(|error| StoreError::dynamodb(&error))?;
        Ok(items.iter().filter_map(AcceptedToken::read).collect())
    }
}
