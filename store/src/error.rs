use std::error::Error as StdError;

use aws_sdk_dynamodb::error::SdkError;
use shared::Causes;
use thiserror::Error;

/// What keeps the store from writing or reading.
#[derive(Debug, Error)]
pub enum StoreError {
    /// DynamoDB did not answer in time, refused, or could not be reached: after this it is not known whether a write was
    /// carried out, but repeating it with the same id is safe.
    #[error("DynamoDB: {0}")]
    DynamoDb(String),
    /// An item is not as this program writes it.
    #[error("the item {pk} / {sk} has no usable attribute {attribute}")]
    Corrupt {
        /// Its partition key.
        pk: String,
        /// Its sort key.
        sk: String,
        /// What is missing or of another type.
        attribute: String,
    },
    /// Somebody else has written in between; nothing was written. Reading again and going on from there is the way.
    #[error("somebody else has written at the same time")]
    Conflict,
}

impl StoreError {
    /// The error with its causes, but without the response: that repeats stored items.
    pub(crate) fn dynamodb<E: StdError + 'static, R: std::fmt::Debug>(error: &SdkError<E, R>) -> Self {
        Self::DynamoDb(Causes(error).to_string())
    }
}
