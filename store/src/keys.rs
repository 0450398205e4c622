//! Keys of the two tables and their indexes, and names of the attributes that code reads.

use std::ops::Range;

use shared::{Entity, EventId, Kind, Timestamp, TokenHash};

/// Partition key of both tables.
pub(crate) const PK: &str = "pk";
/// Sort key of both tables.
pub(crate) const SK: &str = "sk";
/// Partition key of the accepted webhook tokens.
pub(crate) const TOKENS: &str = "webhook-tokens";
/// Partition key of the registration, in both tables.
pub(crate) const REGISTRATION: &str = "registration";
/// Partition key of the counts of published events.
pub(crate) const PUBLISHED: &str = "published";
/// Partition key of the events that the partner's endpoint has not accepted.
pub(crate) const FORWARD_FAILURES: &str = "forward-failures";
/// Partition key of what the provider's lists have shown.
pub(crate) const INVENTORY: &str = "inventory";
/// Sort key of the URL that was registered before ours.
pub(crate) const URL_BEFORE_OURS: &str = "url-before-ours";
/// Sort key of an entity's state, and of the registration's state.
pub(crate) const STATE: &str = "state";

/// Sort key of the record of a line's own webhook.
pub(crate) const LINE: &str = "line";

/// Index of all deliveries by time of receipt; keys [`TIME_SHARD`] and [`SK`].
pub(crate) const BY_TIME: &str = "by-time";
pub(crate) const TIME_SHARD: &str = "time_shard";
/// Index of deliveries and states by the partner's reference; keys [`REFERENCE`] and [`SK`].
pub(crate) const BY_REFERENCE: &str = "by-reference";
pub(crate) const REFERENCE: &str = "reference";
/// Index of states by kind and last update code; keys [`STATE_SHARD`] and [`EXTRA_INFO`].
pub(crate) const BY_STATUS: &str = "by-status";
pub(crate) const STATE_SHARD: &str = "state_shard";
pub(crate) const EXTRA_INFO: &str = "extra_info";
/// Attribute of an event that contained an API key; the key itself is in the sealed table.
pub(crate) const HAS_API_KEY: &str = "has_api_key";
/// Attribute of an event that was recorded as a duplicate, until one that lies between came in.
pub const WAS_DUPLICATE_OF: &str = "was_duplicate_of";
/// Attribute of an event that was not delivered, and of the state of an entity without a delivered event.
pub(crate) const ORIGIN: &str = "origin";
/// Value of [`EXTRA_INFO`] in a state that has none: an index key cannot be missing.
pub(crate) const NO_EXTRA_INFO: &str = "-";

/// Number of partitions over which an index spreads one list. A partition takes 1,000 writes a second.
pub(crate) const SHARDS: u8 = 8;

/// Prefix of the id in the sort key of a delivery.
pub(crate) const EVENT: &str = "event#";
/// Prefix of the day in the partition key of quarantined deliveries.
pub(crate) const QUARANTINE: &str = "quarantine#";
/// Prefix of the id in the sort key of a change of a line's own webhook.
pub(crate) const LINE_CHANGE: &str = "line#";
const FORWARDED: &str = "forwarded#";
const TOKEN: &str = "sha256#";

/// Returns whether a partition holds something other than deliveries and states, such as accepted tokens or the registration.
pub(crate) fn is_reserved(partition: &str) -> bool {
    [TOKENS, REGISTRATION, PUBLISHED, FORWARD_FAILURES, INVENTORY].contains(&partition)
}

/// Returns the sort key of a delivery.
pub(crate) fn event(id: &EventId) -> String {
    format!("{EVENT}{id}")
}

/// Returns the sort key of the record that the partner's endpoint accepted an event.
pub(crate) fn forwarded(id: &EventId) -> String {
    format!("{FORWARDED}{id}")
}

/// Returns the id in the sort key of such a record; `None` for other items.
pub(crate) fn read_forwarded(sort_key: &str) -> Option<EventId> {
    sort_key.strip_prefix(FORWARDED)?.parse().ok()
}

/// Returns the sort key of a change of a line's own webhook.
pub(crate) fn line_change(id: &EventId) -> String {
    format!("{LINE_CHANGE}{id}")
}

/// Returns the id in the sort key of such a change; `None` for other items.
pub(crate) fn read_line_change(sort_key: &str) -> Option<EventId> {
    sort_key.strip_prefix(LINE_CHANGE)?.parse().ok()
}

/// Returns the id in the sort key of a delivery; `None` for other items.
pub(crate) fn read_event(sort_key: &str) -> Option<EventId> {
    sort_key.strip_prefix(EVENT)?.parse().ok()
}

/// Returns the first and the last possible sort key of deliveries received within a range of times.
pub(crate) fn events_within(times: &Range<Timestamp>) -> (String, String) {
    let start = EventId::new(times.start, [0; 8]);
    let end = EventId::new(times.end, [0; 8]);
    (event(&start), event_before(&end))
}

/// Returns the sort key right after that of a delivery.
pub(crate) fn event_after(id: &EventId) -> String {
    event_number(u128::from_be_bytes(*id.as_bytes()).saturating_add(1))
}

/// Returns the sort key right before that of a delivery.
pub(crate) fn event_before(id: &EventId) -> String {
    event_number(u128::from_be_bytes(*id.as_bytes()).saturating_sub(1))
}

/// Formats a number as an id in a sort key, as the bound of a range; it need not be an id.
fn event_number(number: u128) -> String {
    let digits = format!("{number:032x}");
    let (a, b, c, d, e) = (&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]);
    format!("{EVENT}{a}-{b}-{c}-{d}-{e}")
}

/// Returns the sort key of an accepted token.
pub(crate) fn token(hash: &TokenHash) -> String {
    format!("{TOKEN}{hash}")
}

/// Returns the hash in the sort key of an accepted token.
pub(crate) fn read_token(sort_key: &str) -> Option<TokenHash> {
    sort_key.strip_prefix(TOKEN)?.parse().ok()
}

/// Returns the partition key of the deliveries of a day that were quarantined.
pub(crate) fn quarantine(received_at: Timestamp) -> String {
    quarantine_of(&received_at.day())
}

/// Returns the same key by the day's name, for reading.
pub(crate) fn quarantine_of(day: &str) -> String {
    format!("{QUARANTINE}{day}")
}

/// Returns the partition of [`BY_TIME`] for a delivery: its month and one of [`SHARDS`].
pub(crate) fn time_shard(received_at: Timestamp, id: &EventId) -> String {
    let random = id.as_bytes().last().copied().unwrap_or_default();
    time_shard_of(&received_at.month(), random % SHARDS)
}

/// Returns a partition of [`BY_TIME`], for reading.
pub(crate) fn time_shard_of(month: &str, shard: u8) -> String {
    format!("{month}#{shard}")
}

/// Returns the partition of [`BY_STATUS`] for a state: its kind and one of [`SHARDS`].
pub(crate) fn state_shard(kind: &Kind, entity: &Entity) -> String {
    // FNV-1a: it spreads evenly and never changes between versions of this program, as a stored key requires.
    let hash =
        entity.as_str().bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    state_shard_of(kind, (hash % u32::from(SHARDS)).to_le_bytes()[0])
}

/// Returns a partition of [`BY_STATUS`], for reading.
pub(crate) fn state_shard_of(kind: &Kind, shard: u8) -> String {
    format!("{kind}#{shard}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_stays_in_the_shard_in_which_earlier_versions_have_put_it() {
        let shards = [
            ("whatsapp#972501234567", 1),
            ("store#972501234567", 6),
            ("builder#523", 3),
            ("online#eu1#523", 7),
            ("voice#-", 1),
        ];
        for (entity, shard) in shards {
            assert_eq!(state_shard(&Kind::Whatsapp, &Entity::named(entity)), format!("whatsapp#{shard}"), "{entity}");
        }
    }
}
