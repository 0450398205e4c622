//! Ids of events as people type them.

use std::{pin::pin, str::FromStr};

use futures_util::{StreamExt, TryStreamExt};
use shared::{EventId, Timestamp};
use thiserror::Error;

use crate::{
    error::StoreError,
    query::DeliveryQuery,
    read::{Listing, Order, PAGE, Reader},
};

/// Maximum number of ids that are named as possible.
const MOST_IDS: usize = 3;

/// Maximum number of deliveries that are searched for the end of an id.
const MOST_DELIVERIES: usize = 10_000;

/// Digits of the end of an id in lists. They are random, so hardly any two of the deliveries share them.
const WHOLE_END: usize = 8;

/// Fewest digits of the end of an id that are searched for.
const FEWEST_DIGITS: usize = 6;

/// The id of an event as a person types it: whole, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypedId {
    /// All of it.
    Whole(EventId),
    /// Its last hexadecimal digits.
    End(String),
}

/// The reason why no id is found for an end.
#[derive(Debug, Error)]
pub enum FindIdError {
    /// The deliveries cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No id, or more than one, has this end. A sentence for the person who has typed it.
    #[error("{0}")]
    NotOne(String),
}

impl FromStr for TypedId {
    type Err = &'static str;

    /// Reads an id, or its end. Text before `…` or `+`, as in lists, is ignored.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.trim().parse() {
            return Ok(Self::Whole(id));
        }
        let end = text.trim().rsplit(['…', '.', '+']).next().unwrap_or_default();
        let digits: String = end.chars().filter(|letter| *letter != '-').collect::<String>().to_lowercase();
        if digits.len() < FEWEST_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("expected the id of an event, or at least the last 6 digits of one");
        }
        Ok(Self::End(digits))
    }
}

impl TypedId {
    /// Returns the whole id. An end is searched for among the newest deliveries.
    ///
    /// # Errors
    /// Fails when none of them, or more than one, has this end, or when they cannot be read.
    pub async fn find(&self, reader: &Reader, now: Timestamp) -> Result<EventId, FindIdError> {
        let end = match self {
            Self::Whole(id) => return Ok(*id),
            Self::End(end) => end,
        };
        let times = Timestamp::from_micros(0)..now.plus(DeliveryQuery::CLOCK_AHEAD);
        let listing = Listing { times, order: Order::NewestFirst, after: None, page_size: PAGE };
        let mut ids = pin!(reader.by_time(&listing).map_ok(|delivery| delivery.id).take(MOST_DELIVERIES));
        let mut found = Vec::new();
        while let Some(id) = ids.try_next().await? {
            if id.simple().ends_with(end) {
                found.push(id);
                if end.len() >= WHOLE_END || found.len() == MOST_IDS {
                    break;
                }
            }
        }
        only(end, &found)?.ok_or_else(|| {
            FindIdError::NotOne(format!(
                "none of the last {MOST_DELIVERIES} events has an id that ends in {end}; give its last digits, or the whole id"
            ))
        })
    }

    /// Returns the whole id, or the one of these that has its end; `None` when none has.
    ///
    /// # Errors
    /// Fails when more than one of them has this end.
    pub fn among(&self, ids: impl IntoIterator<Item = EventId>) -> Result<Option<EventId>, FindIdError> {
        match self {
            Self::Whole(id) => Ok(Some(*id)),
            Self::End(end) => only(end, &ids.into_iter().filter(|id| id.simple().ends_with(end)).collect::<Vec<_>>()),
        }
    }
}

/// Returns the only id that ends in these digits.
fn only(end: &str, found: &[EventId]) -> Result<Option<EventId>, FindIdError> {
    if found.len() > 1 {
        let ids = found.iter().map(EventId::to_string).collect::<Vec<_>>().join(", ");
        return Err(FindIdError::NotOne(format!("more than one id ends in {end}: {ids}; give more digits")));
    }
    Ok(found.first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_whole_or_by_its_end() {
        let id = "019aab4e-9fc0-7000-8707-0707071234df";
        assert_eq!(id.parse(), Ok(TypedId::Whole(id.parse().unwrap())));
        for end in ["…071234df", "+071234df", "019a…071234df", "071234DF", "...071234df", " …07-1234df"] {
            assert_eq!(end.parse(), Ok(TypedId::End("071234df".to_owned())), "{end}");
        }
        for text in ["", "42", "…", "12345", "not-hex-at-all"] {
            assert!(text.parse::<TypedId>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_end_means_the_only_one_of_some_ids_and_a_whole_id_itself() {
        let ids = ["019aab4e-9fc0-7000-8707-0707071234df", "019aab4e-9fc0-7000-8707-0707070034df"];
        let ids = ids.map(|id| id.parse::<EventId>().unwrap());
        let among = |typed: &str| typed.parse::<TypedId>().unwrap().among(ids);
        assert_eq!(among("…1234df").unwrap(), Some(ids[0]));
        assert_eq!(among("ffffff").unwrap(), None);
        let other = "019aab4e-9fc0-7000-8707-070707ffffff";
        assert_eq!(among(other).unwrap(), Some(other.parse().unwrap()));
        let ids = [ids[0], ids[0]];
        let error = "1234df".parse::<TypedId>().unwrap().among(ids).unwrap_err().to_string();
        assert!(
            error.starts_with("more than one id ends in 1234df: ") && error.ends_with("; give more digits"),
            "{error}"
        );
    }
}
