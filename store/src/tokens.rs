use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use shared::{Timestamp, TokenHash};

use crate::{
    StoreError,
    delivery::{Attributes, Item, text},
    keys,
};

/// How long the receiver waits at least before it reads the accepted tokens once more because it met one that it does not
/// know. Whoever has accepted a new token waits longer than this before it lets the token be used: then no receiver that
/// read the tokens before can refuse it.
pub const REREAD_INTERVAL: Duration = Duration::from_secs(2);

/// How long the item of a token stays after the token is no longer accepted, because what came in time is recorded however
/// late redrive gets to it: the fallback queue keeps a message for 14 days, the dead-letter queue for the rest of them, and
/// each redrive of a dead letter begins them anew. It is a hundred bytes for each rotation.
const KEPT_AFTER: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// A webhook token with which the receiver lets a caller in, as its hash.
#[derive(Clone, Copy, Debug)]
pub struct AcceptedToken {
    /// The token's SHA-256.
    pub hash: TokenHash,
    /// Since when it is accepted, as far as that is known.
    pub since: Option<Timestamp>,
    /// Until when; `None` as long as it has no successor.
    pub until: Option<Timestamp>,
}

impl AcceptedToken {
    /// Whether a call that came at a time is let in by it. Takes as long whether or not the tokens are alike.
    pub fn lets_in(&self, presented: &TokenHash, at: Timestamp) -> bool {
        self.hash.matches(presented) & self.is_accepted(at)
    }

    /// Whether it is accepted at a time.
    pub fn is_accepted(&self, at: Timestamp) -> bool {
        self.until.is_none_or(|until| at < until)
    }

    /// `None` when the item cannot be read: one bad item must not keep the others' callers out.
    fn read(item: &Item) -> Option<Self> {
        let attributes = Attributes(item);
        Some(Self {
            hash: keys::read_token(attributes.text(keys::SK).ok()?)?,
            since: attributes.parsed("accepted_since").ok(),
            until: attributes.optional("accepted_until", |until| until.parse().ok()).ok()?,
        })
    }
}

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

    /// Accepts a token without an end, from now on if it was not accepted so before. Answers since when it has been:
    /// receivers know of it [`REREAD_INTERVAL`] later.
    ///
    /// # Errors
    /// When DynamoDB does not carry it out.
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

    /// Ends the acceptance of a token at a time. One that has an end already keeps it.
    ///
    /// # Errors
    /// When DynamoDB does not carry it out.
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

    /// All tokens that are or were accepted, as of now; those that have not been for more than a year are gone.
    ///
    /// # Errors
    /// When DynamoDB does not answer with them.
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
