use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use shared::Timestamp;

use crate::credentials::{AccessToken, ClientCredentials, Grant};

/// Maximum time in the cache: the lifetime that the provider documents (page: Access Token), even when a token's own expiry is
/// later.
const LIFE: Duration = Duration::from_secs(3600);

/// A cached token is not used this shortly before its expiry: a run may last that long, and clocks differ.
const MARGIN: Duration = Duration::from_secs(120);

/// The access token of earlier sessions, kept only in memory.
#[derive(Default)]
pub(crate) struct AccessTokenCache(Mutex<Option<Cached>>);

struct Cached {
    token: AccessToken,
    /// The credentials that it was granted for: a token does not outlive a change of the secret.
    client: ClientCredentials,
    until: Timestamp,
}

impl AccessTokenCache {
    /// Returns the token of these credentials, if it stays valid for a whole run.
    pub(crate) fn get(&self, client: &ClientCredentials, now: Timestamp) -> Option<AccessToken> {
        let cached = self.lock();
        let usable = cached.as_ref().filter(|cached| cached.client == *client && now < cached.until)?;
        Some(usable.token.clone())
    }

    /// Stores a token that was just granted.
    pub(crate) fn put(&self, grant: &Grant, client: &ClientCredentials, now: Timestamp) {
        let until = usable_until(grant.expires_at, now);
        *self.lock() = Some(Cached { token: grant.token.clone(), client: client.clone(), until });
    }

    pub(crate) fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Cached>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A token whose expiry is in the past is not cached. The session that requested it uses it all the same.
fn usable_until(expires_at: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let longest = now.plus(LIFE);
    expires_at.map_or(longest, |expires_at| expires_at.min(longest)).minus(MARGIN)
}

#[cfg(test)]
mod tests {
    use shared::Secret;

    use super::*;

    const NOW: i64 = 1_795_339_800;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn client(secret: &str) -> ClientCredentials {
        ClientCredentials { id: Secret::new("id"), secret: Secret::new(secret) }
    }

    fn cached_with(expires_at: Option<Timestamp>) -> AccessTokenCache {
        let cached = AccessTokenCache::default();
        let grant = Grant { token: AccessToken::new(Secret::new("t")).unwrap(), expires_at };
        cached.put(&grant, &client("s"), at(NOW));
        cached
    }

    #[test]
    fn a_token_is_cached_until_shortly_before_it_expires() {
        let cached = cached_with(Some(at(NOW + 1800)));
        assert!(cached.get(&client("s"), at(NOW + 1679)).is_some());
        assert!(cached.get(&client("s"), at(NOW + 1680)).is_none());
    }

    #[test]
    fn no_token_is_cached_for_more_than_its_hour() {
        for expires_at in [None, Some(at(NOW + 86_400)), Some(at(NOW * 1000))] {
            let cached = cached_with(expires_at);
            assert!(cached.get(&client("s"), at(NOW + 3479)).is_some());
            assert!(cached.get(&client("s"), at(NOW + 3480)).is_none());
        }
    }

    #[test]
    fn a_token_that_says_it_has_expired_is_not_cached() {
        for expires_at in [at(0), at(3600), at(NOW - 1), at(NOW + 60)] {
            assert!(cached_with(Some(expires_at)).get(&client("s"), at(NOW)).is_none());
        }
    }

    #[test]
    fn a_token_serves_the_credentials_that_it_was_got_with_alone() {
        assert!(cached_with(None).get(&client("other"), at(NOW)).is_none());
    }

    #[test]
    fn tokens_that_no_header_can_carry_are_refused() {
        for text in ["", " ", "a b", "a\r\nX-Other: b", "é"] {
            assert_eq!(AccessToken::new(Secret::new(text)), None, "{text:?}");
        }
    }
}
