//! The inventory: one item per entity with the facts that the provider's lists have shown, and one with the times of the lists.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use shared::{Entity, Kind, Timestamp};

use crate::{
    batch,
    delivery::{Attributes, Item, text},
    error::StoreError,
    keys,
};

/// Sort key of the item with the times of the lists. No entity has it, because it has no `#`.
const LISTS: &str = "lists";

/// The facts that the provider's lists have shown of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// The entity.
    pub entity: Entity,
    /// Time of the first list with it; `None` when no list had it yet. A list without it, while it had no event, starts over.
    pub listed_at: Option<Timestamp>,
    /// Time of the last earlier list that proves its absence: a complete one in which every element could be used. `None` when there was
    /// none, so it may be older than this stack.
    pub not_listed_at: Option<Timestamp>,
    /// True when the first list with it was not the first complete one of its kind: its event may be on its way.
    pub is_later: bool,
    /// Time of its creation, as the list says.
    pub created_at: Option<Timestamp>,
    /// True while the provider lists it as suspended.
    pub is_suspended: bool,
    /// Time at which its first event was rebuilt from the list.
    pub rebuilt_at: Option<Timestamp>,
    /// Fingerprint of its key, when that is known to be sealed.
    pub key: Option<String>,
    /// Time of the first list without it, in an unbroken series of at least one.
    pub absent_since: Option<Timestamp>,
    /// Time at which it was marked as gone.
    pub gone_at: Option<Timestamp>,
}

impl Tracked {
    /// Returns the time at which it was marked as gone, unless its last event is newer: that shows that it is back.
    pub fn gone_since(&self, last_seen: Option<Timestamp>) -> Option<Timestamp> {
        self.gone_at.filter(|gone_at| last_seen.is_none_or(|seen| seen <= *gone_at))
    }

    /// Returns an entity that no list has shown.
    pub fn new(entity: Entity) -> Self {
        Self {
            entity,
            listed_at: None,
            not_listed_at: None,
            is_later: false,
            created_at: None,
            is_suspended: false,
            rebuilt_at: None,
            key: None,
            absent_since: None,
            gone_at: None,
        }
    }

    fn item(&self) -> Item {
        let mut item = Item::from([
            (keys::PK.to_owned(), text(keys::INVENTORY)),
            (keys::SK.to_owned(), text(&self.entity)),
            ("suspended".to_owned(), AttributeValue::Bool(self.is_suspended)),
            ("later".to_owned(), AttributeValue::Bool(self.is_later)),
        ]);
        let times = [
            ("listed_at", self.listed_at),
            ("not_listed_at", self.not_listed_at),
            ("created_at", self.created_at),
            ("rebuilt_at", self.rebuilt_at),
            ("absent_since", self.absent_since),
            ("gone_at", self.gone_at),
        ];
        item.extend(times.into_iter().filter_map(|(name, at)| Some((name.to_owned(), text(at?)))));
        item.extend(self.key.as_ref().map(|key| ("key_fingerprint".to_owned(), text(key))));
        item
    }

    fn from_item(item: &Item) -> Result<Self, StoreError> {
        let attributes = Attributes(item);
        let time = |name: &str| attributes.optional(name, |at| at.parse().ok());
        let flag = |name: &str| item.get(name).and_then(|flag| flag.as_bool().ok()).copied().unwrap_or_default();
        Ok(Self {
            entity: Entity::named(attributes.text(keys::SK)?),
            listed_at: time("listed_at")?,
            not_listed_at: time("not_listed_at")?,
            created_at: time("created_at")?,
            is_later: flag("later"),
            is_suspended: flag("suspended"),
            rebuilt_at: time("rebuilt_at")?,
            key: attributes.optional("key_fingerprint", |key| Some(key.to_owned()))?,
            absent_since: time("absent_since")?,
            gone_at: time("gone_at")?,
        })
    }
}

/// Suffix of the attribute with [`ListTime::whole`], after the kind. An item of an earlier version does not have it.
const WHOLE: &str = ".whole";
/// Value of that attribute while no list was whole.
const NEVER: &str = "never";

/// The times of the complete lists of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListTime {
    /// Time of the last one.
    pub last: Timestamp,
    /// Time of the last one in which every element could be used.
    pub whole: Option<Timestamp>,
}

/// The times of the complete lists by kind; a kind without one was never listed.
pub type ListTimes = BTreeMap<String, ListTime>;

/// The items of the inventory in an events table.
#[derive(Clone, Debug)]
pub struct Inventory {
    client: Client,
    events_table: String,
}

impl Inventory {
    /// Creates the inventory in an events table.
    pub fn new(client: Client, events_table: impl Into<String>) -> Self {
        Self { client, events_table: events_table.into() }
    }

    /// Returns the times of the lists, and all entities, with the fault in place of one that cannot be read.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or the times of the lists cannot be read.
    pub async fn read(&self) -> Result<(ListTimes, BTreeMap<Entity, Result<Tracked, StoreError>>), StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.events_table)
            .consistent_read(true)
            .key_condition_expression("pk = :inventory")
            .expression_attribute_values(":inventory", text(keys::INVENTORY));
        let mut items = query.into_paginator().items().send();
        let (mut times, mut entities) = (ListTimes::new(), BTreeMap::new());
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| StoreError::dynamodb(&error))?;
            if Attributes(&item).text(keys::SK)? == LISTS {
                let attributes = Attributes(&item);
                let is_kind = |name: &&String| ![keys::PK, keys::SK].contains(&name.as_str()) && !name.ends_with(WHOLE);
                for kind in item.keys().filter(is_kind) {
                    let last = attributes.parsed(kind)?;
                    let whole = attributes.optional(&format!("{kind}{WHOLE}"), |at| match at {
                        NEVER => Some(None),
                        at => at.parse().ok().map(Some),
                    })?;
                    // An earlier version did not tell lists apart.
                    times.insert(kind.clone(), ListTime { last, whole: whole.unwrap_or(Some(last)) });
                }
            } else {
                let entity = Entity::named(Attributes(&item).text(keys::SK)?);
                entities.insert(entity, Tracked::from_item(&item));
            }
        }
        Ok((times, entities))
    }

    /// Returns the record of one entity in the lists; `None` when no list had it.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or the item cannot be read.
    pub async fn entity(&self, entity: &Entity) -> Result<Option<Tracked>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.events_table)
            .key(keys::PK, text(keys::INVENTORY))
            .key(keys::SK, text(entity))
            .consistent_read(true);
        let answer = get.send().await.map_err(|error| StoreError::dynamodb(&error))?;
        answer.item.as_ref().map(Tracked::from_item).transpose()
    }

    /// Returns the records of several entities in the lists, with one request for 100 of them, and with the fault in place of a record
    /// that cannot be read. Entities that no list had are not in the map.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer.
    pub async fn entities(
        &self,
        entities: &[Entity],
    ) -> Result<BTreeMap<Entity, Result<Tracked, StoreError>>, StoreError> {
        let key =
            |entity| Item::from([(keys::PK.to_owned(), text(keys::INVENTORY)), (keys::SK.to_owned(), text(entity))]);
        let mut found = BTreeMap::new();
        for entities in entities.chunks(batch::READ_AT_ONCE) {
            let keys = HashMap::from([(self.events_table.clone(), entities.iter().map(key).collect())]);
            for (_, item) in batch::get_all(&self.client, keys, true).await? {
                let entity = Entity::named(Attributes(&item).text(keys::SK)?);
                found.insert(entity, Tracked::from_item(&item));
            }
        }
        Ok(found)
    }

    /// Writes entities, replacing what was written of them.
    ///
    /// # Errors
    /// Fails when DynamoDB refuses or does not answer; some may have been written.
    pub async fn write(&self, entities: &[Tracked]) -> Result<(), StoreError> {
        let puts: Vec<_> = entities.iter().map(|tracked| batch::put(tracked.item())).collect::<Result<_, _>>()?;
        batch::write(&self.client, &self.events_table, &puts).await
    }

    /// Notes a complete list of a kind. It is whole if every element could be used.
    ///
    /// # Errors
    /// Fails when DynamoDB refuses or does not answer.
    pub async fn listed(&self, kind: &Kind, at: Timestamp, is_whole: bool) -> Result<(), StoreError> {
        let set = if is_whole {
            "SET #kind = :at, #whole = :at"
        } else {
            "SET #kind = :at, #whole = if_not_exists(#whole, if_not_exists(#kind, :never))"
        };
        let names =
            HashMap::from([("#kind".to_owned(), kind.to_string()), ("#whole".to_owned(), format!("{kind}{WHOLE}"))]);
        let never = (!is_whole).then(|| (":never".to_owned(), text(NEVER)));
        let values = HashMap::from_iter([(":at".to_owned(), text(at))].into_iter().chain(never));
        let update = self
            .client
            .update_item()
            .table_name(&self.events_table)
            .key(keys::PK, text(keys::INVENTORY))
            .key(keys::SK, text(LISTS))
            .update_expression(set)
            .condition_expression("attribute_not_exists(#kind) OR #kind < :at")
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values));
        match update.send().await {
            Ok(_) => Ok(()),
            // A later run was faster.
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(StoreError::dynamodb(&error)),
        }
    }
}
