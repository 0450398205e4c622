use std::{fmt, str::FromStr};

use thiserror::Error;
use uuid::Uuid;

use crate::timestamp::Timestamp;

/// The id of one delivery: a UUIDv7 (RFC 9562), so that ids sort by time of receipt.
///
/// The 12 bits after the milliseconds hold the microseconds (RFC 9562, section 6.2, method 3); the rest is random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Uuid);

/// The text is not an [`EventId`].
#[derive(Debug, Error)]
#[error("not an event id: expected a UUIDv7 such as 019aaaaa-0000-7000-8000-000000000000")]
pub struct InvalidEventId;

impl EventId {
    /// Returns the id of a delivery received at a time; `random` must be fresh for every delivery.
    pub fn new(received_at: Timestamp, random: [u8; 8]) -> Self {
        let micros = received_at.as_micros();
        let millis = u64::try_from(received_at.as_millis()).unwrap_or_default();
        let fraction = u16::try_from(micros % 1_000 * 4_096 / 1_000).unwrap_or_default();
        let mut tail = [0; 10];
        tail[..2].copy_from_slice(&fraction.to_be_bytes());
        tail[2..].copy_from_slice(&random);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid())
    }

    /// Returns the time of receipt, to the microsecond.
    pub fn received_at(&self) -> Timestamp {
        let number = u128::from_be_bytes(*self.as_bytes());
        let millis = i64::try_from(number >> 80).unwrap_or(i64::MAX);
        let fraction = i64::try_from((number >> 64) & 0xfff).unwrap_or_default();
        // Writing rounds the fraction down, so reading rounds up.
        let micros = (fraction * 1_000 + 4_095) / 4_096;
        Timestamp::from_micros(millis.saturating_mul(1_000).saturating_add(micros))
    }

    /// Returns the 16 bytes; they sort as the ids do.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Reads an id from 16 bytes, the reverse of [`EventId::as_bytes`].
    ///
    /// # Errors
    /// Fails when the bytes are not a UUIDv7.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidEventId> {
        Self::check(Uuid::from_slice(bytes).map_err(|_| InvalidEventId)?)
    }

    /// Returns the 32 hexadecimal digits without hyphens.
    pub fn simple(&self) -> String {
        self.0.simple().to_string()
    }

    fn check(uuid: Uuid) -> Result<Self, InvalidEventId> {
        match uuid.get_version_num() {
            7 => Ok(Self(uuid)),
            _ => Err(InvalidEventId),
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 36 {
            return Err(InvalidEventId);
        }
        Self::check(Uuid::try_parse(text).map_err(|_| InvalidEventId)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_7_and_of_the_rfc_variant() {
        let id = EventId::new(Timestamp::from_micros(1_795_339_800_123_456), [0xff; 8]);
        assert_eq!(id.0.get_version_num(), 7);
        assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
        assert_eq!(EventId::from_bytes(id.as_bytes()).unwrap(), id);
        assert_eq!(id.simple(), id.to_string().replace('-', ""));
    }

    #[test]
    fn other_ids_are_refused() {
        for text in ["", "1", "019aaaaa000070008000000000000000", "b4bd4cf5-9c5a-4a17-9c43-3c1b3ed80a2c"] {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn ids_sort_by_the_microsecond(at in 0..200_000_000_000_000_000_i64, step in 1..10_000_000_i64, random: [u8; 8], other: [u8; 8]) {
            let early = EventId::new(Timestamp::from_micros(at), random);
            let late = EventId::new(Timestamp::from_micros(at + step), other);
            prop_assert!(early < late);
            prop_assert!(early.to_string() < late.to_string());
            prop_assert!(early.as_bytes() < late.as_bytes());
            prop_assert_eq!(early.received_at().as_micros(), at);
        }
    }
}
