//! The reads: each a query of one partition, or of the few partitions over which an index is spread; never a scan.

use std::ops::Range;

use aws_sdk_dynamodb::{Client, operation::query::builders::QueryFluentBuilder, types::AttributeValue};
use shared::{Entity, EventId, Integer, Kind, Timestamp};

use crate::{
    StoreError, StoredDelivery,
    delivery::{Item, text},
    keys,
    state::State,
};

/// Reads deliveries and states.
#[derive(Clone, Debug)]
pub struct Reader {
    client: Client,
    events_table: String,
}

/// Some of the answers to a question, and where to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// Up to as many as were asked for. There can be fewer, even none, and more to come.
    pub items: Vec<T>,
    /// Asks for the next page; `None` when this was the last one.
    pub next: Option<Cursor>,
}

/// Where a page ended. Only good for the question that the page answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// The cursor as text, to hand it to somebody who will come back with it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// From the text of a cursor. A text that is none is found out when it is used.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// In which order deliveries are listed, by the time at which they were received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they came.
    OldestFirst,
    /// The last one first.
    NewestFirst,
}

/// What to list: from when, until when (not included), in which order, where to go on, and how many at once.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Deliveries received within this time.
    pub times: Range<Timestamp>,
    /// In which order.
    pub order: Order,
    /// Where the page before ended; `None` for the first.
    pub after: Option<Cursor>,
    /// At most this many, at least one.
    pub limit: u16,
}

impl Listing {
    /// Where the page before ended, as the id of its last delivery.
    fn last_listed(&self) -> Result<Option<EventId>, StoreError> {
        let id = self.after.as_ref().map(|Cursor(after)| after.parse());
        id.transpose().map_err(|_| StoreError::InvalidCursor)
    }

    /// What of the times the pages before have left.
    pub(crate) fn remaining(&self) -> Result<Range<Timestamp>, StoreError> {
        let Range { start, end } = self.times;
        let Some(id) = self.last_listed()? else { return Ok(start..end) };
        Ok(match self.order {
            Order::OldestFirst => start.max(id.received_at())..end,
            Order::NewestFirst => start..end.min(id.received_at()),
        })
    }

    /// The first and the last sort key that are still to be listed: those of the times, without those of the pages before.
    /// `None` when there are none left.
    fn sort_keys(&self) -> Result<Option<(String, String)>, StoreError> {
        let (mut first, mut last) = keys::events_within(&self.times);
        if let Some(id) = self.last_listed()? {
            match self.order {
                Order::OldestFirst => first = keys::event_after(&id),
                Order::NewestFirst => last = keys::event_before(&id),
            }
        }
        Ok((first <= last).then_some((first, last)))
    }
}

impl Reader {
    /// Reads from an events table.
    pub fn new(client: Client, events_table: impl Into<String>) -> Self {
        Self { client, events_table: events_table.into() }
    }

    /// The state of an entity, with everything that was acknowledged before this call; `None` when it never had an event.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or the item cannot be read.
    pub async fn state(&self, entity: &Entity) -> Result<Option<State>, StoreError> {
        if keys::is_reserved(entity.as_str()) {
            return Ok(None);
        }
        let get = self
            .client
            .get_item()
            .table_name(&self.events_table)
            .key(keys::PK, text(entity))
            .key(keys::SK, text(keys::STATE))
            .consistent_read(true);
        let answer = get.send().await.map_err(|error| StoreError::dynamodb(&error))?;
        answer.item.as_ref().map(State::read).transpose()
    }

    /// The delivery with an id; `None` when there is none, or not yet: it is found through an index, which has a delivery
    /// some time after it was acknowledged, as a rule within a second.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or the item cannot be read.
    pub async fn delivery(&self, id: &EventId) -> Result<Option<StoredDelivery>, StoreError> {
        // The id alone tells the partition, as it has the time of receipt in it.
        let query = self
            .query()
            .index_name(keys::BY_TIME)
            .key_condition_expression("time_shard = :shard AND sk = :sk")
            .expression_attribute_values(":shard", text(keys::time_shard(id.received_at(), id)))
            .expression_attribute_values(":sk", text(keys::event(id)));
        let (items, _) = run(query).await?;
        items.first().map(StoredDelivery::read).transpose()
    }

    /// The deliveries of an entity, duplicates included; of `quarantine#<date>`, what could not be decoded on that day.
    ///
    /// # Errors
    /// When DynamoDB does not answer, an item cannot be read, or the cursor is of another listing.
    pub async fn history(&self, entity: &Entity, listing: &Listing) -> Result<Page<StoredDelivery>, StoreError> {
        if keys::is_reserved(entity.as_str()) {
            return Ok(Page { items: Vec::new(), next: None });
        }
        self.deliveries(self.query().consistent_read(true), keys::PK, entity.as_str(), listing).await
    }

    /// The deliveries that carried one of the partner's references, of whatever kind.
    ///
    /// # Errors
    /// As for [`Reader::history`].
    pub async fn by_reference(&self, reference: &str, listing: &Listing) -> Result<Page<StoredDelivery>, StoreError> {
        self.deliveries(self.query().index_name(keys::BY_REFERENCE), keys::REFERENCE, reference, listing).await
    }

    /// The states that carry one of the partner's references: its clients of that name.
    ///
    /// # Errors
    /// As for [`Reader::history`].
    pub async fn states_by_reference(
        &self,
        reference: &str,
        after: Option<&Cursor>,
        limit: u16,
    ) -> Result<Page<State>, StoreError> {
        let query = self
            .query()
            .index_name(keys::BY_REFERENCE)
            .key_condition_expression("#reference = :reference AND sk = :state")
            .expression_attribute_names("#reference", keys::REFERENCE)
            .expression_attribute_values(":reference", text(reference))
            .expression_attribute_values(":state", text(keys::STATE))
            .limit(limit.max(1).into());
        let start = after.map(|Cursor(entity)| {
            Item::from([
                (keys::REFERENCE.to_owned(), text(reference)),
                (keys::PK.to_owned(), text(entity)),
                (keys::SK.to_owned(), text(keys::STATE)),
            ])
        });
        let (items, last) = run(query.set_exclusive_start_key(start)).await?;
        let states = items.iter().map(State::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page { items: states, next: last.and_then(|key| key_text(&key, keys::PK)).map(Cursor) })
    }

    /// The states of a kind, or those among them whose last update (`whatsapp_extra_info` and the like) is a certain one.
    ///
    /// # Errors
    /// As for [`Reader::history`].
    pub async fn states(
        &self,
        kind: &Kind,
        extra_info: Option<&Integer>,
        after: Option<&Cursor>,
        limit: u16,
    ) -> Result<Page<State>, StoreError> {
        let (mut shard, mut start) = match after {
            None => (0, None),
            Some(cursor) => read_state_cursor(kind, cursor)?,
        };
        let mut states = Vec::new();
        while shard < keys::SHARDS {
            let missing = usize::from(limit.max(1)).saturating_sub(states.len());
            let query = self
                .query()
                .index_name(keys::BY_STATUS)
                .expression_attribute_values(":shard", text(keys::state_shard_of(kind.as_str(), shard)))
                .limit(i32::try_from(missing).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start.take());
            let query = match extra_info {
                None => query.key_condition_expression("state_shard = :shard"),
                Some(extra_info) => query
                    .key_condition_expression("state_shard = :shard AND extra_info = :extra_info")
                    .expression_attribute_values(":extra_info", text(extra_info)),
            };
            let (items, last) = run(query).await?;
            for item in &items {
                states.push(State::read(item)?);
            }
            match last {
                Some(key) if states.len() >= usize::from(limit) => {
                    return Ok(Page { items: states, next: write_state_cursor(shard, &key) });
                }
                Some(key) => start = Some(key),
                None => shard += 1,
            }
            if states.len() >= usize::from(limit) && shard < keys::SHARDS {
                return Ok(Page { items: states, next: Some(Cursor(format!("{shard}"))) });
            }
        }
        Ok(Page { items: states, next: None })
    }

    /// Everything that was received within a time, of all entities.
    ///
    /// Reads the months of the time that the pages before have left, in order, each from its partitions of the index at once.
    ///
    /// # Errors
    /// As for [`Reader::history`].
    pub async fn by_time(&self, listing: &Listing) -> Result<Page<StoredDelivery>, StoreError> {
        let Some((first, last)) = listing.sort_keys()? else { return Ok(Page { items: Vec::new(), next: None }) };
        let mut months = months(&listing.remaining()?);
        if listing.order == Order::NewestFirst {
            months.reverse();
        }
        let mut months = months.into_iter();
        while let Some(month) = months.next() {
            let page = self.month(&month, (&first, &last), listing).await?;
            if !page.items.is_empty() || page.next.is_some() {
                // The months that are left have the rest; the next call finds this one empty and goes on.
                let last = page.items.last().filter(|_| months.len() > 0);
                let last = last.map(|delivery| Cursor(delivery.id.to_string()));
                return Ok(Page { items: page.items, next: page.next.or(last) });
            }
        }
        Ok(Page { items: Vec::new(), next: None })
    }

    /// One month of the index: its partitions merged up to where the first of them was cut off.
    async fn month(
        &self,
        month: &str,
        sort_keys: (&str, &str),
        listing: &Listing,
    ) -> Result<Page<StoredDelivery>, StoreError> {
        // Deliveries are spread evenly: a little more than its share of each partition fills a page.
        let share = i32::from(listing.limit.max(1)) / i32::from(keys::SHARDS) + 8;
        let mut queries = tokio::task::JoinSet::new();
        for shard in 0..keys::SHARDS {
            let query = self.query().index_name(keys::BY_TIME).limit(share);
            let query = in_order(query, keys::TIME_SHARD, &keys::time_shard_of(month, shard), sort_keys, listing.order);
            queries.spawn(run(query));
        }
        let mut merged = Vec::new();
        let mut cut_off: Option<EventId> = None;
        let sooner = |a: &EventId, b: &EventId| match listing.order {
            Order::OldestFirst => a < b,
            Order::NewestFirst => a > b,
        };
        while let Some(answer) = queries.join_next().await {
            let (items, more) = answer.map_err(|error| StoreError::DynamoDb(error.to_string()))??;
            let deliveries = items.iter().map(StoredDelivery::read).collect::<Result<Vec<_>, _>>()?;
            let last = deliveries.last().filter(|_| more.is_some()).map(|delivery| delivery.id);
            cut_off = match (cut_off, last) {
                (Some(a), Some(b)) => Some(if sooner(&b, &a) { b } else { a }),
                (a, b) => a.or(b),
            };
            merged.extend(deliveries);
        }
        merged.sort_by_key(|delivery| delivery.id);
        if listing.order == Order::NewestFirst {
            merged.reverse();
        }
        let whole = merged.len();
        merged.retain(|delivery| cut_off.is_none_or(|at| !sooner(&at, &delivery.id)));
        merged.truncate(usize::from(listing.limit.max(1)));
        let more = cut_off.is_some() || merged.len() < whole;
        let next = merged.last().filter(|_| more).map(|delivery| Cursor(delivery.id.to_string()));
        Ok(Page { items: merged, next })
    }

    async fn deliveries(
        &self,
        query: QueryFluentBuilder,
        partition: &str,
        value: &str,
        listing: &Listing,
    ) -> Result<Page<StoredDelivery>, StoreError> {
        let page = events_of_partition(query, partition, value, listing).await?;
        let deliveries = page.items.iter().map(StoredDelivery::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page { items: deliveries, next: page.next })
    }

    fn query(&self) -> QueryFluentBuilder {
        self.client.query().table_name(&self.events_table)
    }
}

/// A page of the items with an event's sort key in one partition.
pub(crate) async fn events_of_partition(
    query: QueryFluentBuilder,
    partition: &str,
    value: &str,
    listing: &Listing,
) -> Result<Page<Item>, StoreError> {
    let Some((first, last)) = listing.sort_keys()? else { return Ok(Page { items: Vec::new(), next: None }) };
    let query = in_order(query, partition, value, (&first, &last), listing.order);
    let (items, more) = run(query.limit(listing.limit.max(1).into())).await?;
    let next = more.and_then(|key| keys::read_event(&key_text(&key, keys::SK)?)).map(|id| Cursor(id.to_string()));
    Ok(Page { items, next })
}

/// A query of the deliveries in one partition from a first to a last sort key.
fn in_order(
    query: QueryFluentBuilder,
    partition: &str,
    value: &str,
    (first, last): (&str, &str),
    order: Order,
) -> QueryFluentBuilder {
    query
        .key_condition_expression("#partition = :partition AND sk BETWEEN :first AND :last")
        .expression_attribute_names("#partition", partition)
        .expression_attribute_values(":partition", text(value))
        .expression_attribute_values(":first", text(first))
        .expression_attribute_values(":last", text(last))
        .scan_index_forward(order == Order::OldestFirst)
}

async fn run(query: QueryFluentBuilder) -> Result<(Vec<Item>, Option<Item>), StoreError> {
    let answer = query.send().await.map_err(|error| StoreError::dynamodb(&error))?;
    Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
}

fn key_text(key: &Item, name: &str) -> Option<String> {
    key.get(name).and_then(|value: &AttributeValue| value.as_s().ok()).cloned()
}

/// The months that a time touches, as `2026-11`.
fn months(times: &Range<Timestamp>) -> Vec<String> {
    const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);
    let mut months = Vec::new();
    let mut at = times.start;
    while at < times.end {
        months.push(at.month());
        at = at.plus(DAY);
    }
    months.push(times.end.month());
    months.dedup();
    months
}

fn write_state_cursor(shard: u8, key: &Item) -> Option<Cursor> {
    let extra_info = key_text(key, keys::EXTRA_INFO)?;
    let entity = key_text(key, keys::PK)?;
    Some(Cursor(format!("{shard} {extra_info} {entity}")))
}

fn read_state_cursor(kind: &Kind, Cursor(cursor): &Cursor) -> Result<(u8, Option<Item>), StoreError> {
    let mut parts = cursor.splitn(3, ' ');
    let shard = parts.next().and_then(|shard| shard.parse().ok()).ok_or(StoreError::InvalidCursor)?;
    let (Some(extra_info), Some(entity)) = (parts.next(), parts.next()) else { return Ok((shard, None)) };
    let key = Item::from([
        (keys::STATE_SHARD.to_owned(), text(keys::state_shard_of(kind.as_str(), shard))),
        (keys::EXTRA_INFO.to_owned(), text(extra_info)),
        (keys::PK.to_owned(), text(entity)),
        (keys::SK.to_owned(), text(keys::STATE)),
    ]);
    Ok((shard, Some(key)))
}
