use std::error::Error as StdError;

use aws_sdk_dynamodb::error::SdkError;
use shared::Causes;
use thiserror::Error;

/// The reason why the store cannot write or read.
#[derive(Debug, Error)]
pub enum StoreError {
    /// DynamoDB did not answer in time, refused, or could not be reached. A write may have been carried out all the same;
    /// repeating it with the same id is safe.
    #[error("DynamoDB: {0}")]
    DynamoDb(String),
    /// An item is not in the form that this program writes.
    #[error("the item {pk} / {sk} has no usable attribute {attribute}")]
    Corrupt {
        /// The item's partition key.
        pk: String,
        /// The item's sort key.
        sk: String,
        /// The attribute that is missing or has another type.
        attribute: String,
    },
    /// Another write came in between; nothing was written. Read again and retry from there.
    #[error("another writer changed the item at the same time")]
    Conflict,
}

impl StoreError {
    /// Formats the error with its causes but without the response, which repeats stored items.
    pub(crate) fn dynamodb<E: StdError + 'static, R: std::fmt::Debug>(error: &SdkError<E, R>) -> Self {
        Self::DynamoDb(Causes(error).to_string())
    }
}
