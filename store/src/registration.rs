//! What is known of the webhook's registration with the provider: its state, the ledger of everything that happened to it,
//! and the URL that was registered before ours.

use std::{fmt, ops::Range, str::FromStr};

use aws_sdk_dynamodb::{
    Client,
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, Put, TransactWriteItem},
};
use futures_util::{Stream, StreamExt};
use shared::{EventId, Secret, Timestamp};

use crate::{
    Listing, StoreError,
    delivery::{Attributes, Item, text},
    keys,
    read::events_of_partition,
};

/// What is known of the registration. URLs are as they are shown: with their tokens masked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// How often it was written.
    pub version: u64,
    /// When the provider was asked last and answered.
    pub checked_at: Option<Timestamp>,
    /// What was registered then; `None` when nothing was.
    pub registered: Option<String>,
    /// When our URL was last seen registered; `None` when it never was.
    pub ours_at: Option<Timestamp>,
    /// Since when it is known that another URL is registered than ours, or none; `None` when ours is, or never was.
    pub elsewhere_since: Option<Timestamp>,
    /// Until when the time in which ours was not registered is counted already.
    pub counted_until: Option<Timestamp>,
    /// Who registers another URL whenever we have registered ours.
    pub rival: Option<Rival>,
    /// Since when every check has failed.
    pub failing_since: Option<Timestamp>,
    /// The cause by which the last check failed.
    pub failure: Option<String>,
}

/// A URL that came in place of ours, and how often we have put ours back since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// The URL, masked.
    pub url: String,
    /// How often ours was put back in its place.
    pub repairs: u32,
    /// When that was done last.
    pub repaired_at: Timestamp,
}

/// Something that happened to the registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Sorts by the time at which it was noted.
    pub id: EventId,
    /// When it was noted.
    pub at: Timestamp,
    /// What happened.
    pub kind: ChangeKind,
    /// What was carried out at the time (`sync`, `rotate`…).
    pub action: String,
    /// What was registered afterwards, masked.
    pub registered: Option<String>,
    /// The time within which the webhook may have pointed elsewhere: from the last check that found ours, to this one.
    pub not_ours: Option<Range<Timestamp>>,
    /// Why a check failed.
    pub cause: Option<String>,
}

/// What happened to the registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// Our URL was registered for the first time.
    Registered,
    /// Another URL than ours, or none, was found registered.
    Drift,
    /// Our URL was put back.
    Repaired,
    /// Our URL was found registered again, and it was not us who put it back.
    Returned,
    /// A person has set a URL.
    Set,
    /// A token has a successor, and the URL with that one is registered.
    Rotated,
    /// The provider said OK to a URL, and shows another.
    NotVerified,
    /// A check or a change failed.
    Failed,
    /// The same other URL has come back after every repair; nothing is repaired any more until a person has set a URL.
    Contested,
    /// The URL that was registered before ours is registered again.
    Restored,
}

/// The text names no [`ChangeKind`].
#[derive(Debug, thiserror::Error)]
#[error("not the name of a change")]
pub struct UnknownChange;

impl ChangeKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Registered,
        Self::Drift,
        Self::Repaired,
        Self::Returned,
        Self::Set,
        Self::Rotated,
        Self::NotVerified,
        Self::Failed,
        Self::Contested,
        Self::Restored,
    ];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Drift => "drift",
            Self::Repaired => "repaired",
            Self::Returned => "returned",
            Self::Set => "set",
            Self::Rotated => "rotated",
            Self::NotVerified => "not_verified",
            Self::Failed => "failed",
            Self::Contested => "contested",
            Self::Restored => "restored",
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ChangeKind {
    type Err = UnknownChange;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(UnknownChange)
    }
}

/// The items of the registration in the events table.
#[derive(Clone, Debug)]
pub struct RegistrationLedger {
    client: Client,
    events_table: String,
}

impl RegistrationLedger {
    /// The ledger that stands in an events table.
    pub fn new(client: Client, events_table: impl Into<String>) -> Self {
        Self { client, events_table: events_table.into() }
    }

    /// The state as of now; the default before anything was written.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or the item cannot be read.
    pub async fn read(&self) -> Result<Registration, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.events_table)
            .key(keys::PK, text(keys::REGISTRATION))
            .key(keys::SK, text(keys::STATE))
            .consistent_read(true);
        let answer = get.send().await.map_err(|error| StoreError::dynamodb(&error))?;
        answer.item.as_ref().map_or_else(|| Ok(Registration::default()), Registration::from_item)
    }

    /// Writes the state and what has happened: all of it, or nothing. The state is one that was read, changed; what is
    /// written has the next version.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the state is no longer of the version that was read; else when DynamoDB does not carry it
    /// out.
    pub async fn write(&self, state: &Registration, changes: &[Change]) -> Result<(), StoreError> {
        let put = |item| Put::builder().table_name(&self.events_table).set_item(Some(item));
        let next = Registration { version: state.version + 1, ..state.clone() };
        let state = put(next.item())
            .condition_expression("attribute_not_exists(pk) OR #version = :read")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":read", AttributeValue::N(state.version.to_string()));
        let puts = std::iter::once(state).chain(changes.iter().map(|change| put(change.item())));
        let puts = puts.map(|put| put.build().map(|put| TransactWriteItem::builder().put(put).build()));
        let puts = puts.collect::<Result<Vec<_>, _>>().map_err(|error| StoreError::DynamoDb(error.to_string()))?;
        match self.client.transact_write_items().set_transact_items(Some(puts)).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(is_outdated) => Err(StoreError::Conflict),
            Err(error) => Err(StoreError::dynamodb(&error)),
        }
    }

    /// Lists what has happened within a time.
    ///
    /// The stream ends with an error when DynamoDB does not answer, or an item cannot be read.
    pub fn changes(&self, listing: &Listing) -> impl Stream<Item = Result<Change, StoreError>> + Send + use<> {
        let query = self.client.query().table_name(&self.events_table).consistent_read(true);
        let entries = events_of_partition(query, keys::PK, keys::REGISTRATION, listing);
        entries.map(|item| Change::from_item(&item?))
    }
}

/// Whether the state was changed since it was read, or is being changed.
fn is_outdated(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { return false };
    let code = cancelled.cancellation_reasons().first().and_then(|reason| reason.code());
    matches!(code, Some("ConditionalCheckFailed" | "TransactionConflict"))
}

/// What was registered before ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    /// As the provider wrote it.
    pub url: Secret,
    /// Of which partner account it was the webhook: a text that is the same for the same account.
    pub account: String,
}

/// The URL that was registered before ours. It may have a secret of somebody else in it, so it is in the sealed table.
#[derive(Clone, Debug)]
pub struct UrlBeforeOurs {
    client: Client,
    sealed_table: String,
}

impl UrlBeforeOurs {
    /// The one that stands in a sealed table.
    pub fn new(client: Client, sealed_table: impl Into<String>) -> Self {
        Self { client, sealed_table: sealed_table.into() }
    }

    /// Keeps the URL, in place of one that is kept already. `account` says whose webhook it was, see [`Before::account`].
    ///
    /// # Errors
    /// When DynamoDB does not carry it out.
    pub async fn keep(&self, url: &Secret, account: &str, now: Timestamp) -> Result<(), StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.sealed_table)
            .item(keys::PK, text(keys::REGISTRATION))
            .item(keys::SK, text(keys::URL_BEFORE_OURS))
            .item("url", text(url.expose()))
            .item("account", text(account))
            .item("kept_at", text(now));
        put.send().await.map(|_| ()).map_err(|error| StoreError::dynamodb(&error))
    }

    /// The URL, if there was one.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or the item cannot be read.
    pub async fn read(&self) -> Result<Option<Before>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.sealed_table)
            .key(keys::PK, text(keys::REGISTRATION))
            .key(keys::SK, text(keys::URL_BEFORE_OURS))
            .consistent_read(true);
        let answer = get.send().await.map_err(|error| StoreError::dynamodb(&error))?;
        let Some(item) = &answer.item else { return Ok(None) };
        let attributes = Attributes(item);
        let (url, account) = (attributes.text("url")?, attributes.text("account")?);
        Ok(Some(Before { url: Secret::new(url), account: account.to_owned() }))
    }
}

impl Registration {
    fn item(&self) -> Item {
        let mut item =
            Item::from([(keys::PK.to_owned(), text(keys::REGISTRATION)), (keys::SK.to_owned(), text(keys::STATE))]);
        item.insert("version".to_owned(), AttributeValue::N(self.version.to_string()));
        let mut set =
            |name: &str, value: Option<String>| item.extend(value.map(|value| (name.to_owned(), text(value))));
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        set("checked_at", time(self.checked_at));
        set("registered", self.registered.clone());
        set("ours_at", time(self.ours_at));
        set("elsewhere_since", time(self.elsewhere_since));
        set("counted_until", time(self.counted_until));
        set("failing_since", time(self.failing_since));
        set("failure", self.failure.clone());
        if let Some(rival) = &self.rival {
            set("rival", Some(rival.url.clone()));
            set("rival_repaired_at", Some(rival.repaired_at.to_string()));
            item.insert("rival_repairs".to_owned(), AttributeValue::N(rival.repairs.to_string()));
        }
        item
    }

    fn from_item(item: &Item) -> Result<Self, StoreError> {
        let attributes = Attributes(item);
        let time = |name: &str| attributes.optional(name, |at| at.parse().ok());
        let words = |name: &str| attributes.optional(name, |words| Some(words.to_owned()));
        Ok(Self {
            version: attributes.number("version")?,
            checked_at: time("checked_at")?,
            registered: words("registered")?,
            ours_at: time("ours_at")?,
            elsewhere_since: time("elsewhere_since")?,
            counted_until: time("counted_until")?,
            rival: match words("rival")? {
                None => None,
                Some(url) => Some(Rival {
                    url,
                    repairs: attributes.number("rival_repairs")?,
                    repaired_at: attributes.parsed("rival_repaired_at")?,
                }),
            },
            failing_since: time("failing_since")?,
            failure: words("failure")?,
        })
    }
}

impl Change {
    fn item(&self) -> Item {
        let mut item = Item::from([
            (keys::PK.to_owned(), text(keys::REGISTRATION)),
            (keys::SK.to_owned(), text(keys::event(&self.id))),
            ("at".to_owned(), text(self.at)),
            ("change".to_owned(), text(self.kind)),
            ("action".to_owned(), text(&self.action)),
        ]);
        item.extend(self.registered.as_ref().map(|url| ("registered".to_owned(), text(url))));
        item.extend(self.cause.as_ref().map(|cause| ("cause".to_owned(), text(cause))));
        if let Some(window) = &self.not_ours {
            item.insert("not_ours_from".to_owned(), text(window.start));
            item.insert("not_ours_until".to_owned(), text(window.end));
        }
        item
    }

    fn from_item(item: &Item) -> Result<Self, StoreError> {
        let attributes = Attributes(item);
        let words = |name: &str| attributes.optional(name, |words| Some(words.to_owned()));
        let from = attributes.optional("not_ours_from", |at| at.parse().ok())?;
        Ok(Self {
            id: keys::read_event(attributes.text(keys::SK)?).ok_or_else(|| attributes.corrupt(keys::SK))?,
            at: attributes.parsed("at")?,
            kind: attributes.parsed("change")?,
            action: attributes.text("action")?.to_owned(),
            registered: words("registered")?,
            not_ours: match from {
                None => None,
                Some(from) => Some(from..attributes.parsed("not_ours_until")?),
            },
            cause: words("cause")?,
        })
    }
}
