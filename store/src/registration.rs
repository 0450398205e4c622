//! The webhook's registration with the provider: its state, its ledger of changes, and the URL that was registered before ours.

use std::{collections::BTreeMap, fmt, ops::Range, str::FromStr};

use aws_sdk_dynamodb::{
    Client,
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, Put, TransactWriteItem},
};
use futures_util::{Stream, StreamExt};
use shared::{EventId, Secret, Timestamp};

use crate::{
    delivery::{Attributes, Item, text},
    error::StoreError,
    keys,
    read::{Listing, events_of_partition},
};

const SET_LEASES: &str = "set_leases";

/// The state of the registration. URLs are masked, as they are displayed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// Number of writes so far.
    pub version: u64,
    /// The partner account to which all of this belongs, as in [`Before::account`]; `None` if no credentials have named it yet.
    pub account: Option<String>,
    /// Time of the last check that the provider answered.
    pub checked_at: Option<Timestamp>,
    /// The URL registered then; `None` for none.
    pub registered: Option<String>,
    /// Last time that our URL was found registered; `None` for never.
    pub ours_at: Option<Timestamp>,
    /// First time that another URL, or none, was found registered instead of ours; `None` while ours is, or never was.
    pub elsewhere_since: Option<Timestamp>,
    /// End of the time that the metrics already count as not ours.
    pub counted_until: Option<Timestamp>,
    /// The last URL that ours replaced in a repair.
    pub competing: Option<CompetingUrl>,
    /// Time at which sync gave up, because the competing URL came back after every repair; `None` while sync repairs.
    pub contested_since: Option<Timestamp>,
    /// Time of the first failed check in an unbroken series.
    pub failing_since: Option<Timestamp>,
    /// Cause of the last failed check.
    pub failure: Option<String>,
    /// The credentials that the provider refused, which must not be tried again.
    pub refused_credentials: Option<RefusedCredentials>,
    /// The stack that is being deleted, and for which nothing may be registered any more.
    pub deleted_stack: Option<DeletedStack>,
    /// Runs that may be registering our URL at this moment.
    pub set_leases: BTreeMap<EventId, Timestamp>,
}

/// A URL that replaced ours, with the number of repairs since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompetingUrl {
    /// The URL, masked.
    pub url: String,
    /// Number of times that ours was registered again in its place.
    pub repairs: u32,
    /// Time of the last repair.
    pub repaired_at: Timestamp,
}

/// A version of the partner secret that the provider refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedCredentials {
    /// Secrets Manager's id of the version.
    pub secret_version: String,
    /// Time of the refusal.
    pub at: Timestamp,
}

/// A stack whose registration CloudFormation has asked to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedStack {
    /// CloudFormation's id of the stack, which is never used again.
    pub stack_id: String,
    /// Time of the request.
    pub at: Timestamp,
}

/// A change of the registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Id of the change. Ids sort by the time of the record.
    pub id: EventId,
    /// Time of the record.
    pub at: Timestamp,
    /// The kind of change.
    pub kind: ChangeKind,
    /// The action that found or made the change (`sync`, `rotate`…).
    pub action: String,
    /// The URL registered after the change, masked.
    pub registered: Option<String>,
    /// Period in which the webhook may have pointed elsewhere: from the last check that found ours to this check.
    pub not_ours: Option<Range<Timestamp>>,
    /// The cause of a failed check.
    pub cause: Option<String>,
}

/// Kind of a [`Change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// Our URL was registered for the first time.
    Registered,
    /// A URL other than ours, or none, was found registered.
    Drift,
    /// Our URL was registered again.
    Repaired,
    /// Our URL was found registered again without a repair.
    Returned,
    /// A person set a URL.
    Set,
    /// Our URL was registered with a new token.
    Rotated,
    /// The provider accepted a URL but shows another.
    NotVerified,
    /// A check or a change failed.
    Failed,
    /// The same competing URL came back after every repair; sync gives up until a person sets a URL.
    Contested,
    /// The URL from before ours is registered again.
    Restored,
}

/// The text is not the name of a [`ChangeKind`].
#[derive(Debug, thiserror::Error)]
#[error("not the name of a ledger entry's kind")]
pub struct UnknownChange;

impl ChangeKind {
    /// All kinds.
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

    /// Returns the kind's name in the table.
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

/// The registration's items in the events table.
#[derive(Clone, Debug)]
pub struct RegistrationLedger {
    client: Client,
    events_table: String,
}

impl RegistrationLedger {
    /// Creates the ledger in an events table.
    pub fn new(client: Client, events_table: impl Into<String>) -> Self {
        Self { client, events_table: events_table.into() }
    }

    /// Returns the current state; the default before anything was written.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or the item cannot be read.
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

    /// Writes a changed state together with the changes that led to it, atomically. The state gets the next version.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another writer has changed the state since; another error when DynamoDB refuses or
    /// does not answer.
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

    /// Lists the changes of a period.
    ///
    /// The stream ends with an error when DynamoDB does not answer, or an item cannot be read.
    pub fn changes(&self, listing: &Listing) -> impl Stream<Item = Result<Change, StoreError>> + Send + use<> {
        let query = self.client.query().table_name(&self.events_table).consistent_read(true);
        let entries = events_of_partition(query, keys::PK, keys::REGISTRATION, listing);
        entries.map(|item| Change::from_item(&item?))
    }
}

/// Returns whether another writer has changed the state since it was read, or is about to.
fn is_outdated(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { return false };
    let code = cancelled.cancellation_reasons().first().and_then(|reason| reason.code());
    matches!(code, Some("ConditionalCheckFailed" | "TransactionConflict"))
}

/// The URL that was registered before ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    /// The URL as the provider wrote it.
    pub url: Secret,
    /// Identifies the partner account: the same text for the same account.
    pub account: String,
}

/// Keeps the URL that was registered before ours. It may contain somebody else's secret, so it is in the sealed table.
#[derive(Clone, Debug)]
pub struct UrlBeforeOurs {
    client: Client,
    sealed_table: String,
}

impl UrlBeforeOurs {
    /// Creates the storage in a sealed table.
    pub fn new(client: Client, sealed_table: impl Into<String>) -> Self {
        Self { client, sealed_table: sealed_table.into() }
    }

    /// Stores the URL, replacing an earlier one. `account` is [`Before::account`].
    ///
    /// # Errors
    /// Fails when DynamoDB refuses or does not answer.
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

    /// Returns the stored URL, if any.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or the item cannot be read.
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
    /// Returns whether this belongs to another partner account than the given one. An account that is not known counts as the same.
    pub fn is_of_another_account(&self, account: Option<&str>) -> bool {
        self.account.as_deref().zip(account).is_some_and(|(known, account)| known != account)
    }

    fn item(&self) -> Item {
        let mut item =
            Item::from([(keys::PK.to_owned(), text(keys::REGISTRATION)), (keys::SK.to_owned(), text(keys::STATE))]);
        item.insert("version".to_owned(), AttributeValue::N(self.version.to_string()));
        let mut set =
            |name: &str, value: Option<String>| item.extend(value.map(|value| (name.to_owned(), text(value))));
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        set("account", self.account.clone());
        set("checked_at", time(self.checked_at));
        set("registered", self.registered.clone());
        set("ours_at", time(self.ours_at));
        set("elsewhere_since", time(self.elsewhere_since));
        set("counted_until", time(self.counted_until));
        set("failing_since", time(self.failing_since));
        set("failure", self.failure.clone());
        set("contested_since", time(self.contested_since));
        // These three keep the names of the first version, whose tables are still in use.
        if let Some(competing) = &self.competing {
            set("rival", Some(competing.url.clone()));
            set("rival_repaired_at", Some(competing.repaired_at.to_string()));
        }
        if let Some(refused) = &self.refused_credentials {
            set("refused_secret_version", Some(refused.secret_version.clone()));
            set("refused_at", Some(refused.at.to_string()));
        }
        if let Some(deleted) = &self.deleted_stack {
            set("deleted_stack", Some(deleted.stack_id.clone()));
            set("deleted_at", Some(deleted.at.to_string()));
        }
        if let Some(competing) = &self.competing {
            item.insert("rival_repairs".to_owned(), AttributeValue::N(competing.repairs.to_string()));
        }
        if !self.set_leases.is_empty() {
            let leases = self.set_leases.iter().map(|(run, until)| (run.to_string(), text(until))).collect();
            item.insert(SET_LEASES.to_owned(), AttributeValue::M(leases));
        }
        item
    }

    fn from_item(item: &Item) -> Result<Self, StoreError> {
        let attributes = Attributes(item);
        let time = |name: &str| attributes.optional(name, |at| at.parse().ok());
        let words = |name: &str| attributes.optional(name, |words| Some(words.to_owned()));
        Ok(Self {
            version: attributes.number("version")?,
            account: words("account")?,
            checked_at: time("checked_at")?,
            registered: words("registered")?,
            ours_at: time("ours_at")?,
            elsewhere_since: time("elsewhere_since")?,
            counted_until: time("counted_until")?,
            competing: match words("rival")? {
                None => None,
                Some(url) => Some(CompetingUrl {
                    url,
                    repairs: attributes.number("rival_repairs")?,
                    repaired_at: attributes.parsed("rival_repaired_at")?,
                }),
            },
            contested_since: time("contested_since")?,
            failing_since: time("failing_since")?,
            failure: words("failure")?,
            refused_credentials: match words("refused_secret_version")? {
                None => None,
                Some(secret_version) => {
                    Some(RefusedCredentials { secret_version, at: attributes.parsed("refused_at")? })
                }
            },
            deleted_stack: match words("deleted_stack")? {
                None => None,
                Some(stack_id) => Some(DeletedStack { stack_id, at: attributes.parsed("deleted_at")? }),
            },
            set_leases: match item.get(SET_LEASES) {
                None => BTreeMap::new(),
                Some(leases) => read_leases(leases).ok_or_else(|| attributes.corrupt(SET_LEASES))?,
            },
        })
    }
}

fn read_leases(leases: &AttributeValue) -> Option<BTreeMap<EventId, Timestamp>> {
    let lease = |(run, until): (&String, &AttributeValue)| Some((run.parse().ok()?, until.as_s().ok()?.parse().ok()?));
    leases.as_m().ok()?.iter().map(lease).collect()
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
