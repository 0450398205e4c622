//! The reads. Each queries one partition, or the few partitions over which an index is spread; none is a scan.
//!
//! Lists are streams: they read the next page when they are polled and the previous page is used up.

use std::{ops::Range, time::Duration};

use aws_sdk_dynamodb::{Client, operation::query::builders::QueryFluentBuilder};
use futures_util::{Stream, StreamExt, TryStreamExt, future::try_join_all, stream};
use shared::{Entity, EventId, Integer, Kind, Timestamp};

use crate::{
    delivery::{Item, StoredDelivery, text},
    error::StoreError,
    keys,
    state::State,
};

/// Number of items in a page when reading a whole list.
pub const PAGE: u16 = 200;

/// Returns the page size for listing `limit` items and finding whether there are more. Maximum: [`PAGE`].
pub fn page_size(limit: usize) -> u16 {
    u16::try_from(limit.saturating_add(1)).unwrap_or(PAGE).min(PAGE)
}

/// Returns the first `limit` items of a list, and whether there are more.
///
/// # Errors
/// Fails with the first error of the list.
pub async fn first<T, E>(list: impl Stream<Item = Result<T, E>>, limit: usize) -> Result<(Vec<T>, bool), E> {
    let mut items: Vec<T> = list.take(limit.saturating_add(1)).try_collect().await?;
    let more = items.len() > limit;
    items.truncate(limit);
    Ok((items, more))
}

/// Reads deliveries and states.
#[derive(Clone, Debug)]
pub struct Reader {
    client: Client,
    events_table: String,
}

/// The order of a listing, by the time of receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The earliest received comes first.
    OldestFirst,
    /// The latest received comes first.
    NewestFirst,
}

/// A range of deliveries by the time of receipt, and the way to read them.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The times of receipt; the end is excluded.
    pub times: Range<Timestamp>,
    /// The order of the deliveries.
    pub order: Order,
    /// The delivery after which the listing continues, in its order. `None` starts at the first.
    pub after: Option<EventId>,
    /// Number of deliveries read at once, at least one. For a few deliveries, ask for that number; the stream reads on when
    /// they are taken.
    pub page_size: u16,
}

impl Listing {
    /// Returns the range of times still to be listed.
    pub(crate) fn remaining(&self) -> Range<Timestamp> {
        let Range { start, end } = self.times;
        match (self.after, self.order) {
            (None, _) => start..end,
            (Some(id), Order::OldestFirst) => start.max(id.received_at())..end,
            (Some(id), Order::NewestFirst) => start..end.min(id.received_at()),
        }
    }

    /// Returns the range of sort keys still to be listed; `None` when it is empty.
    fn sort_keys(&self) -> Option<SortKeys> {
        let (first, last) = keys::events_within(&self.times);
        let all = SortKeys { first, last };
        match self.after {
            None => all.unless_empty(),
            Some(id) => all.after(&id, self.order),
        }
    }
}

/// A range of sort keys, both ends included.
#[derive(Clone)]
struct SortKeys {
    first: String,
    last: String,
}

impl SortKeys {
    /// Returns the keys left after a delivery; `None` when there are none.
    fn after(self, id: &EventId, order: Order) -> Option<Self> {
        let rest = match order {
            Order::OldestFirst => Self { first: keys::event_after(id), ..self },
            Order::NewestFirst => Self { last: keys::event_before(id), ..self },
        };
        rest.unless_empty()
    }

    fn unless_empty(self) -> Option<Self> {
        (self.first <= self.last).then_some(self)
    }
}

impl Reader {
    /// Creates a reader of an events table.
    pub fn new(client: Client, events_table: impl Into<String>) -> Self {
        Self { client, events_table: events_table.into() }
    }

    /// Returns the state of an entity, including all deliveries acknowledged before this call; `None` when no event has named it.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or the item cannot be read.
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

    /// Returns the delivery with an id; `None` when there is none, or not yet. An index finds it, usually within a second
    /// after the delivery was acknowledged.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or the item cannot be read.
    pub async fn delivery(&self, id: &EventId) -> Result<Option<StoredDelivery>, StoreError> {
        // The id alone determines the partition, because it contains the time of receipt.
        let query = self
            .query()
            .index_name(keys::BY_TIME)
            .key_condition_expression("time_shard = :shard AND sk = :sk")
            .expression_attribute_values(":shard", text(keys::time_shard(id.received_at(), id)))
            .expression_attribute_values(":sk", text(keys::event(id)));
        let answer = query.send().await.map_err(|error| StoreError::dynamodb(&error))?;
        answer.items().first().map(StoredDelivery::from_item).transpose()
    }

    /// Reads an event of an entity from the table itself, with its latest content; `None` when it does not exist.
    ///
    /// # Errors
    /// Fails when DynamoDB does not answer, or the item cannot be read.
    pub async fn event(&self, entity: &Entity, id: &EventId) -> Result<Option<StoredDelivery>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.events_table)
            .key(keys::PK, text(entity))
            .key(keys::SK, text(keys::event(id)))
            .consistent_read(true);
        let answer = get.send().await.map_err(|error| StoreError::dynamodb(&error))?;
        answer.item.as_ref().map(StoredDelivery::from_item).transpose()
    }

    /// Lists the deliveries of an entity, duplicates included; for `quarantine#<date>`, the quarantined ones of that day.
    ///
    /// The stream ends with an error when DynamoDB does not answer, or an item cannot be read.
    pub fn history(
        &self,
        entity: &Entity,
        listing: &Listing,
    ) -> impl Stream<Item = Result<StoredDelivery, StoreError>> + Send + use<> {
        let query = (!keys::is_reserved(entity.as_str())).then(|| self.query().consistent_read(true));
        let (entity, listing) = (entity.clone(), listing.clone());
        let of_entity = move |query| events_of_partition(query, keys::PK, entity.as_str(), &listing);
        deliveries(stream::iter(query).flat_map(of_entity))
    }

    /// Lists the deliveries with one of the partner's references, of every kind.
    ///
    /// The stream ends with an error as [`Reader::history`] does.
    pub fn by_reference(
        &self,
        reference: &str,
        listing: &Listing,
    ) -> impl Stream<Item = Result<StoredDelivery, StoreError>> + Send + use<> {
        let query = self.query().index_name(keys::BY_REFERENCE);
        deliveries(events_of_partition(query, keys::REFERENCE, reference, listing))
    }

    /// Lists the states with one of the partner's references: the clients of that name.
    ///
    /// The stream ends with an error as [`Reader::history`] does.
    pub fn states_by_reference(
        &self,
        reference: &str,
        page_size: u16,
    ) -> impl Stream<Item = Result<State, StoreError>> + Send + use<> {
        let query = self
            .query()
            .index_name(keys::BY_REFERENCE)
            .key_condition_expression("#reference = :reference AND sk = :state")
            .expression_attribute_names("#reference", keys::REFERENCE)
            .expression_attribute_values(":reference", text(reference))
            .expression_attribute_values(":state", text(keys::STATE));
        items(query, page_size).map(|item| State::read(&item?))
    }

    /// Lists the states of a kind, optionally only those with the given last update code (`whatsapp_extra_info` and the
    /// like).
    ///
    /// The stream ends with an error as [`Reader::history`] does.
    pub fn states(
        &self,
        kind: &Kind,
        extra_info: Option<&Integer>,
        page_size: u16,
    ) -> impl Stream<Item = Result<State, StoreError>> + Send + use<> {
        let query = self.query().index_name(keys::BY_STATUS);
        let query = match extra_info {
            None => query.key_condition_expression("state_shard = :shard"),
            Some(extra_info) => query
                .key_condition_expression("state_shard = :shard AND extra_info = :extra_info")
                .expression_attribute_values(":extra_info", text(extra_info)),
        };
        let shard =
            |shard| query.clone().expression_attribute_values(":shard", text(keys::state_shard_of(kind, shard)));
        let queries: Vec<_> = (0..keys::SHARDS).map(shard).collect();
        stream::iter(queries).flat_map(move |query| items(query, page_size)).map(|item| State::read(&item?))
    }

    /// Lists all deliveries received within a range of times, of all entities.
    ///
    /// Reads month after month, and all partitions of a month at once.
    ///
    /// The stream ends with an error as [`Reader::history`] does.
    pub fn by_time(&self, listing: &Listing) -> impl Stream<Item = Result<StoredDelivery, StoreError>> + Send + use<> {
        let months = match listing.sort_keys() {
            None => Vec::new(),
            Some(sort_keys) => {
                let mut months = months(&listing.remaining());
                if listing.order == Order::NewestFirst {
                    months.reverse();
                }
                months.into_iter().map(|month| (month, sort_keys.clone())).collect()
            }
        };
        let (query, order, page_size) = (self.query().index_name(keys::BY_TIME), listing.order, listing.page_size);
        stream::iter(months).flat_map(move |(month, sort_keys)| {
            let query = query.clone();
            let pages = stream::try_unfold(Some(sort_keys), move |sort_keys| {
                let (query, month) = (query.clone(), month.clone());
                async move {
                    let Some(sort_keys) = sort_keys else { return Ok(None) };
                    let (page, rest) = page_of_month(&query, &month, sort_keys, order, page_size).await?;
                    Ok(Some((stream::iter(page.into_iter().map(Ok)), rest)))
                }
            });
            pages.try_flatten()
        })
    }

    fn query(&self) -> QueryFluentBuilder {
        self.client.query().table_name(&self.events_table)
    }
}

/// Reads a page of one month of the index, merged from its partitions up to the first cut-off among them. Also returns the
/// remaining sort keys.
async fn page_of_month(
    query: &QueryFluentBuilder,
    month: &str,
    sort_keys: SortKeys,
    order: Order,
    page_size: u16,
) -> Result<(Vec<StoredDelivery>, Option<SortKeys>), StoreError> {
    // Deliveries are spread evenly: slightly more than its share of each partition fills a page.
    let share = i32::from(page_size.max(1)) / i32::from(keys::SHARDS) + 8;
    let answers = (0..keys::SHARDS).map(|shard| {
        let shard = keys::time_shard_of(month, shard);
        in_order(query.clone(), keys::TIME_SHARD, &shard, &sort_keys, order).limit(share).send()
    });
    let answers = try_join_all(answers).await.map_err(|error| StoreError::dynamodb(&error))?;
    let is_before = |a: &EventId, b: &EventId| match order {
        Order::OldestFirst => a < b,
        Order::NewestFirst => a > b,
    };
    let mut merged = Vec::new();
    let mut cut_off: Option<EventId> = None;
    for answer in answers {
        let deliveries = answer.items().iter().map(StoredDelivery::from_item).collect::<Result<Vec<_>, _>>()?;
        if let Some(last) = deliveries.last().filter(|_| answer.last_evaluated_key.is_some())
            && cut_off.is_none_or(|at| is_before(&last.id, &at))
        {
            cut_off = Some(last.id);
        }
        merged.extend(deliveries);
    }
    merged.retain(|delivery| cut_off.is_none_or(|at| !is_before(&at, &delivery.id)));
    merged.sort_by_key(|delivery| delivery.id);
    if order == Order::NewestFirst {
        merged.reverse();
    }
    Ok((merged, cut_off.and_then(|at| sort_keys.after(&at, order))))
}

/// Lists the items of one partition that have an event's sort key.
pub(crate) fn events_of_partition(
    query: QueryFluentBuilder,
    partition: &str,
    value: &str,
    listing: &Listing,
) -> impl Stream<Item = Result<Item, StoreError>> + Send + use<> {
    items_of_partition(query, partition, value, listing.sort_keys(), listing)
}

/// Lists the changes of a line's own webhook.
pub(crate) fn line_changes(
    query: QueryFluentBuilder,
    line: &Entity,
    listing: &Listing,
) -> impl Stream<Item = Result<Item, StoreError>> + Send + use<> {
    let of_change = |key: &str| key.replacen(keys::EVENT, keys::LINE_CHANGE, 1);
    let sort_keys = listing.sort_keys();
    let sort_keys = sort_keys.map(|keys| SortKeys { first: of_change(&keys.first), last: of_change(&keys.last) });
    items_of_partition(query, keys::PK, line.as_str(), sort_keys, listing)
}

fn items_of_partition(
    query: QueryFluentBuilder,
    partition: &str,
    value: &str,
    sort_keys: Option<SortKeys>,
    listing: &Listing,
) -> impl Stream<Item = Result<Item, StoreError>> + Send + use<> {
    let query = sort_keys.map(|sort_keys| in_order(query, partition, value, &sort_keys, listing.order));
    let page_size = listing.page_size;
    stream::iter(query).flat_map(move |query| items(query, page_size))
}

/// Queries the deliveries of one partition that have these sort keys, in order.
fn in_order(
    query: QueryFluentBuilder,
    partition: &str,
    value: &str,
    sort_keys: &SortKeys,
    order: Order,
) -> QueryFluentBuilder {
    query
        .key_condition_expression("#partition = :partition AND sk BETWEEN :first AND :last")
        .expression_attribute_names("#partition", partition)
        .expression_attribute_values(":partition", text(value))
        .expression_attribute_values(":first", text(&sort_keys.first))
        .expression_attribute_values(":last", text(&sort_keys.last))
        .scan_index_forward(order == Order::OldestFirst)
}

/// Lists the items that a query finds.
fn items(query: QueryFluentBuilder, page_size: u16) -> impl Stream<Item = Result<Item, StoreError>> + Send {
    let pages = query.limit(page_size.max(1).into()).into_paginator().send();
    let pages = stream::unfold(pages, async |mut pages| {
        let page = pages.next().await?;
        Some((page.map_err(|error| StoreError::dynamodb(&error)), pages))
    });
    pages.map_ok(|page| stream::iter(page.items.unwrap_or_default()).map(Ok)).try_flatten()
}

pub(crate) fn deliveries(
    items: impl Stream<Item = Result<Item, StoreError>> + Send,
) -> impl Stream<Item = Result<StoredDelivery, StoreError>> + Send {
    items.map(|item| StoredDelivery::from_item(&item?))
}

/// The start of 2026, the year of this project's first version: no delivery is older.
const FIRST: i64 = 1_767_225_600_000_000;

/// Returns the months that a range of times touches, as `2026-11`. There are none before 2026.
fn months(times: &Range<Timestamp>) -> Vec<String> {
    let times = times.start.max(Timestamp::from_micros(FIRST))..times.end;
    let mut months: Vec<String> = days(&times).map(Timestamp::month).collect();
    months.dedup();
    months
}

/// Returns times of all days that a range of times touches, in order. The last is the end of the range.
pub(crate) fn days(times: &Range<Timestamp>) -> impl Iterator<Item = Timestamp> + use<> {
    let Range { start, end } = times.clone();
    let next = move |at: &Timestamp| (*at != end).then(|| at.plus(Duration::from_hours(24)).min(end));
    std::iter::successors(Some(start.min(end)), next)
}
