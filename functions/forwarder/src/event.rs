//! Reads the event that a message names, in the form for the endpoint.

use aws_sdk_dynamodb::Client;
use outbound::{ForwardMessage, Message, without_sealed};
use shared::Timestamp;
use store::{Reader, SealedReader, StoreError};

/// The tables that events are read from.
pub(crate) struct Events {
    reader: Reader,
    /// `None` when events are sent without their API keys.
    sealed: Option<SealedReader>,
}

/// An event, ready to be posted.
pub(crate) struct Ready {
    pub(crate) message: Message,
    pub(crate) kind: String,
    /// The body is the provider's, with API keys.
    pub(crate) has_secrets: bool,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Events {
    pub(crate) fn new(client: Client, events_table: &str, sealed_table: Option<String>) -> Self {
        Self {
            reader: Reader::new(client.clone(), events_table),
            sealed: sealed_table.map(|table| SealedReader::new(client, table)),
        }
    }

    /// Reads an event; `None` when it is no longer in the table.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or the item cannot be read.
    pub(crate) async fn read(&self, named: &ForwardMessage) -> Result<Option<Ready>, StoreError> {
        let original = async {
            match &self.sealed {
                Some(sealed) => sealed.body(named.entity(), named.id()).await,
                None => Ok(None),
            }
        };
        let (event, original) = tokio::try_join!(self.reader.event(named.entity(), named.id()), original)?;
        let Some(event) = event else { return Ok(None) };
        let Some(stored) = event.body else { return Ok(None) };
        let has_secrets = original.is_some();
        let body = original.unwrap_or_else(|| without_sealed(&stored));
        let message = Message { id: event.id, received_at: event.received_at, body };
        Ok(Some(Ready { message, kind: event.kind, has_secrets, expires_at: event.expires_at }))
    }
}
