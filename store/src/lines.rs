//! The lines' own webhooks: one item per line with the last check, and one per change.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::Range,
    str::FromStr,
};

use aws_sdk_dynamodb::{
    Client,
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, Put, TransactWriteItem},
};
use futures_util::{Stream, StreamExt};
use shared::{Entity, EventId, Timestamp};

use crate::{
    batch::{READ_AT_ONCE, get_all},
    delivery::{Attributes, Item, text},
    error::StoreError,
    keys,
    read::{Listing, line_changes},
};

/// The result of the last check of a line's own webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LineStatus {
    /// Our URL is registered, as the provider's last answer shows.
    Live,
    /// No URL is registered.
    Empty,
    /// A URL that is not ours is registered.
    Foreign,
    /// The provider refuses the line's API key.
    WrongKey,
    /// No API key of the line is known.
    NoKey,
    /// The provider does not know the line's number.
    UnknownNumber,
    /// The provider did not answer the last check. The status before that is in [`LineRecord::concluded`].
    Unreachable,
    /// Lines are not checked: no URL for them is configured.
    Off,
}

/// The text is not the name of a [`LineStatus`].
#[derive(Debug, thiserror::Error)]
#[error("not a status of a line's webhook")]
pub struct UnknownLineStatus;

impl LineStatus {
    /// All statuses.
    pub const ALL: [Self; 8] = [
        Self::Live,
        Self::Empty,
        Self::Foreign,
        Self::WrongKey,
        Self::NoKey,
        Self::UnknownNumber,
        Self::Unreachable,
        Self::Off,
    ];

    /// Returns the name in the table and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Empty => "empty",
            Self::Foreign => "foreign",
            Self::WrongKey => "wrong_key",
            Self::NoKey => "no_key",
            Self::UnknownNumber => "unknown_number",
            Self::Unreachable => "unreachable",
            Self::Off => "off",
        }
    }

    /// Returns the name in plain words.
    pub fn in_words(self) -> String {
        self.name().replace('_', " ")
    }
}

impl fmt::Display for LineStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for LineStatus {
    type Err = UnknownLineStatus;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.name() == name).ok_or(UnknownLineStatus)
    }
}

/// The last check of a line's own webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineRecord {
    /// The line.
    pub entity: Entity,
    /// Number of writes so far.
    pub version: u64,
    /// The result.
    pub status: LineStatus,
    /// Time since which the result is this one.
    pub since: Timestamp,
    /// Time of the last attempt.
    pub attempted_at: Timestamp,
    /// Time of the last check that the provider answered; `None` when there was none.
    pub checked_at: Option<Timestamp>,
    /// The result of that check.
    pub concluded: Option<LineStatus>,
    /// Time since which that result was the status, while the provider does not answer.
    pub concluded_since: Option<Timestamp>,
    /// The URL registered then, masked; of a foreign one only the host. `None` for none, or when it is not known.
    pub url: Option<String>,
    /// Time at which our URL was last set.
    pub set_at: Option<Timestamp>,
    /// Time of the last check that found our URL.
    pub live_at: Option<Timestamp>,
    /// Time since which the webhook has pointed nowhere or elsewhere; `None` while it is ours, or nothing is known.
    pub not_live_since: Option<Timestamp>,
    /// The reason why the line is not live or not as configured, for people, if the status does not tell.
    pub cause: Option<String>,
    /// Fingerprint of the API key that was used then.
    pub key: Option<String>,
    /// Fingerprint of the last API key for which the provider answered with the webhook.
    pub worked_key: Option<String>,
    /// Fingerprints of the URLs that were set, oldest first: one of them that is still registered is ours.
    pub our_urls: Vec<String>,
    /// The URL, as [`LineRecord::url`], that the provider showed when it was read back after ours was set; `None` once it shows another one.
    pub not_taken: Option<String>,
    /// The run that may be setting a URL at this moment.
    pub lease: Option<SetLease>,
}

/// The right of one run to set a line's URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetLease {
    /// Fingerprint of the URL that is set.
    pub url: String,
    /// Time by which the run is done, or was killed.
    pub until: Timestamp,
}

/// The action that a check took before it found a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineAction {
    /// None: the check found this status.
    Found,
    /// Our URL was set.
    Set,
}

impl LineAction {
    /// Returns the name in the table and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Set => "set",
        }
    }
}

impl fmt::Display for LineAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for LineAction {
    type Err = UnknownLineStatus;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::Found, Self::Set].into_iter().find(|action| action.name() == name).ok_or(UnknownLineStatus)
    }
}

/// A change of a line's own webhook. A check that the provider did not answer is not a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineChange {
    /// Id of the change. Ids sort by the time of the record, which [`EventId::received_at`] returns.
    pub id: EventId,
    /// The status before; `None` for the first.
    pub from: Option<LineStatus>,
    /// The status since then.
    pub to: LineStatus,
    /// The action that led to it.
    pub action: LineAction,
    /// The URL registered then, as [`LineRecord::url`].
    pub url: Option<String>,
    /// As [`LineRecord::cause`].
    pub cause: Option<String>,
    /// Period in which the webhook may have pointed nowhere or elsewhere, up to this change.
    pub not_live: Option<Range<Timestamp>>,
}

/// The lines' items in an events table.
#[derive(Clone, Debug)]
pub struct Lines {
    client: Client,
    events_table: String,
}

impl Lines {
    /// Creates the access to the lines of an events table.
    pub fn new(client: Client, events_table: impl Into<String>) -> Self {
        Self { client, events_table: events_table.into() }
    }

    /// Returns the last check of a line; `None` when it was never checked.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or the item cannot be read.
    pub async fn get(&self, line: &Entity) -> Result<Option<LineRecord>, StoreError> {
        if keys::is_reserved(line.as_str()) {
            return Ok(None);
        }
        let get =
            self.client.get_item().table_name(&self.events_table).set_key(Some(record_key(line))).consistent_read(true);
        let answer = get.send().await.map_err(|error| StoreError::dynamodb(&error))?;
        answer.item.as_ref().map(LineRecord::from_item).transpose()
    }

    /// Returns the last checks of several lines, with one request for 100 of them, and with the fault in place of a record that cannot be
    /// read. Lines that were never checked are not in the map.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer.
    pub async fn get_many(
        &self,
        lines: &[Entity],
    ) -> Result<BTreeMap<Entity, Result<LineRecord, StoreError>>, StoreError> {
        let mut records = BTreeMap::new();
        for lines in lines.chunks(READ_AT_ONCE) {
            let keys = HashMap::from([(self.events_table.clone(), lines.iter().map(record_key).collect())]);
            for (_, item) in get_all(&self.client, keys, true).await? {
                let line = Entity::named(Attributes(&item).text(keys::PK)?);
                records.insert(line, LineRecord::from_item(&item));
            }
        }
        Ok(records)
    }

    /// Writes a record together with the change that it shows, atomically. Returns it with its next version.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another writer has changed it since it was read; another error when DynamoDB refuses or does not
    /// answer.
    pub async fn write(&self, record: &LineRecord, change: Option<&LineChange>) -> Result<LineRecord, StoreError> {
        let next = LineRecord { version: record.version + 1, ..record.clone() };
        // A record that was never written has version 0, so two first writers cannot both succeed.
        let condition = if record.version == 0 { "attribute_not_exists(pk)" } else { "#version = :read" };
        let read = (record.version > 0).then(|| HashMap::from([(":read".to_owned(), number(record.version))]));
        let names = read.as_ref().map(|_| HashMap::from([("#version".to_owned(), "version".to_owned())]));
        let Some(change) = change else {
            let put = self.client.put_item().table_name(&self.events_table).set_item(Some(next.item()));
            let put = put.condition_expression(condition).set_expression_attribute_names(names);
            let put = put.set_expression_attribute_values(read);
            return match put.send().await {
                Ok(_) => Ok(next),
                Err(error)
                    if error.as_service_error().is_some_and(|error| {
                        error.is_conditional_check_failed_exception() || error.is_transaction_conflict_exception()
                    }) =>
                {
                    // The answer to the first attempt may be lost: the next one then finds this record itself.
                    if self.get(&record.entity).await?.as_ref() == Some(&next) {
                        Ok(next)
                    } else {
                        Err(StoreError::Conflict)
                    }
                }
                Err(error) => Err(StoreError::dynamodb(&error)),
            };
        };
        let put = |item| Put::builder().table_name(&self.events_table).set_item(Some(item));
        let first = put(next.item()).condition_expression(condition).set_expression_attribute_names(names);
        let first = first.set_expression_attribute_values(read);
        let puts = [first, put(change.item(&record.entity))];
        let puts = puts.map(|put| put.build().map(|put| TransactWriteItem::builder().put(put).build()));
        let puts = puts.into_iter().collect::<Result<Vec<_>, _>>();
        let puts = puts.map_err(|error| StoreError::DynamoDb(error.to_string()))?;
        match self.client.transact_write_items().set_transact_items(Some(puts)).send().await {
            Ok(_) => Ok(next),
            Err(error) if error.as_service_error().is_some_and(is_outdated) => Err(StoreError::Conflict),
            Err(error) => Err(StoreError::dynamodb(&error)),
        }
    }

    /// Lists the changes of a line's own webhook.
    ///
    /// The stream ends with an error when DynamoDB does not answer, or an item cannot be read.
    pub fn history(
        &self,
        line: &Entity,
        listing: &Listing,
    ) -> impl Stream<Item = Result<LineChange, StoreError>> + Send + use<> {
        let query = self.client.query().table_name(&self.events_table).consistent_read(true);
        line_changes(query, line, listing).map(|item| LineChange::from_item(&item?))
    }
}

/// Returns whether another writer has changed the record since it was read, or is about to.
fn is_outdated(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { return false };
    let code = cancelled.cancellation_reasons().first().and_then(|reason| reason.code());
    matches!(code, Some("ConditionalCheckFailed" | "TransactionConflict"))
}

fn record_key(line: &Entity) -> Item {
    Item::from([(keys::PK.to_owned(), text(line)), (keys::SK.to_owned(), text(keys::LINE))])
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

impl LineRecord {
    /// Returns the first record of a line, with a status that it has from now on.
    pub fn new(entity: Entity, status: LineStatus, now: Timestamp) -> Self {
        Self {
            entity,
            version: 0,
            status,
            since: now,
            attempted_at: now,
            checked_at: None,
            concluded: None,
            concluded_since: None,
            url: None,
            set_at: None,
            live_at: None,
            not_live_since: None,
            cause: None,
            key: None,
            worked_key: None,
            our_urls: Vec::new(),
            not_taken: None,
            lease: None,
        }
    }

    fn item(&self) -> Item {
        let mut item = record_key(&self.entity);
        item.insert("version".to_owned(), number(self.version));
        let mut set =
            |name: &str, value: Option<String>| item.extend(value.map(|value| (name.to_owned(), text(value))));
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        set("webhook", Some(self.status.to_string()));
        set("since", time(Some(self.since)));
        set("attempted_at", time(Some(self.attempted_at)));
        set("checked_at", time(self.checked_at));
        set("concluded", self.concluded.map(|status| status.to_string()));
        set("concluded_since", time(self.concluded_since));
        set("url", self.url.clone());
        set("set_at", time(self.set_at));
        set("live_at", time(self.live_at));
        set("not_live_since", time(self.not_live_since));
        set("cause", self.cause.clone());
        set("key_fingerprint", self.key.clone());
        set("worked_key_fingerprint", self.worked_key.clone());
        set("not_taken", self.not_taken.clone());
        set("lease_url", self.lease.as_ref().map(|lease| lease.url.clone()));
        set("lease_until", self.lease.as_ref().map(|lease| lease.until.to_string()));
        if !self.our_urls.is_empty() {
            let urls = self.our_urls.iter().map(text).collect();
            item.insert("our_urls".to_owned(), AttributeValue::L(urls));
        }
        item
    }

    fn from_item(item: &Item) -> Result<Self, StoreError> {
        let attributes = Attributes(item);
        let time = |name: &str| attributes.optional(name, |at| at.parse().ok());
        let words = |name: &str| attributes.optional(name, |words| Some(words.to_owned()));
        let our_urls = match item.get("our_urls") {
            None => Some(Vec::new()),
            Some(AttributeValue::L(urls)) => urls.iter().map(|url| url.as_s().ok().cloned()).collect(),
            Some(_) => None,
        };
        Ok(Self {
            entity: Entity::named(attributes.text(keys::PK)?),
            version: attributes.number("version")?,
            status: attributes.parsed("webhook")?,
            since: attributes.parsed("since")?,
            attempted_at: attributes.parsed("attempted_at")?,
            checked_at: time("checked_at")?,
            concluded: attributes.optional("concluded", |status| status.parse().ok())?,
            concluded_since: time("concluded_since")?,
            url: words("url")?,
            set_at: time("set_at")?,
            live_at: time("live_at")?,
            not_live_since: time("not_live_since")?,
            cause: words("cause")?,
            key: words("key_fingerprint")?,
            worked_key: words("worked_key_fingerprint")?,
            our_urls: our_urls.ok_or_else(|| attributes.corrupt("our_urls"))?,
            not_taken: words("not_taken")?,
            lease: match words("lease_url")? {
                None => None,
                Some(url) => Some(SetLease { url, until: attributes.parsed("lease_until")? }),
            },
        })
    }
}

impl LineChange {
    fn item(&self, line: &Entity) -> Item {
        let mut item = Item::from([
            (keys::PK.to_owned(), text(line)),
            (keys::SK.to_owned(), text(keys::line_change(&self.id))),
            ("to".to_owned(), text(self.to)),
            ("action".to_owned(), text(self.action)),
        ]);
        item.extend(self.from.map(|from| ("from".to_owned(), text(from))));
        item.extend(self.url.as_ref().map(|url| ("url".to_owned(), text(url))));
        item.extend(self.cause.as_ref().map(|cause| ("cause".to_owned(), text(cause))));
        if let Some(period) = &self.not_live {
            item.insert("not_live_from".to_owned(), text(period.start));
            item.insert("not_live_until".to_owned(), text(period.end));
        }
        item
    }

    fn from_item(item: &Item) -> Result<Self, StoreError> {
        let attributes = Attributes(item);
        let words = |name: &str| attributes.optional(name, |words| Some(words.to_owned()));
        let from = attributes.optional("not_live_from", |at| at.parse().ok())?;
        Ok(Self {
            id: keys::read_line_change(attributes.text(keys::SK)?).ok_or_else(|| attributes.corrupt(keys::SK))?,
            from: attributes.optional("from", |status| status.parse().ok())?,
            to: attributes.parsed("to")?,
            action: attributes.parsed("action")?,
            url: words("url")?,
            cause: words("cause")?,
            not_live: match from {
                None => None,
                Some(from) => Some(from..attributes.parsed("not_live_until")?),
            },
        })
    }
}
