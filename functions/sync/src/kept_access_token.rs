use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use shared::Timestamp;

use crate::credentials::{AccessToken, ClientCredentials, Grant};

/// How long the provider says that an access token is valid (its page: Access Token). A token is kept no longer, whatever
/// its expiration says.
const LIFE: Duration = Duration::from_secs(3600);

/// How long before its expiration a token is no longer kept: as long as a run may use it, and a little for clocks that
/// differ.
const MARGIN: Duration = Duration::from_secs(120);

/// The access token of the runs before, in memory alone, as long as it can be used.
#[derive(Default)]
pub(crate) struct KeptAccessToken(Mutex<Option<Kept>>);

struct Kept {
    token: AccessToken,
    /// Somebody who changes the secret wants the new credentials to be used, and not a token got with the old ones.
    client: ClientCredentials,
    until: Timestamp,
}

impl KeptAccessToken {
    /// The token got with these credentials, if it is still valid for a whole run.
    pub(crate) fn get(&self, client: &ClientCredentials, now: Timestamp) -> Option<AccessToken> {
        let kept = self.lock();
        let usable = kept.as_ref().filter(|kept| kept.client == *client && now < kept.until)?;
        Some(usable.token.clone())
    }

    /// Keeps a token that was just granted.
    pub(crate) fn keep(&self, grant: &Grant, client: &ClientCredentials, now: Timestamp) {
        let until = usable_until(grant.expires_at, now);
        *self.lock() = Some(Kept { token: grant.token.clone(), client: client.clone(), until });
    }

    pub(crate) fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An expiration in the past keeps a token from being kept; it can still be used in the run that asked for it.
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

    fn kept_with(expires_at: Option<Timestamp>) -> KeptAccessToken {
        let kept = KeptAccessToken::default();
        let grant = Grant { token: AccessToken::new(Secret::new("t")).unwrap(), expires_at };
        kept.keep(&grant, &client("s"), at(NOW));
        kept
    }

    #[test]
    fn a_token_is_kept_until_shortly_before_it_expires() {
        let kept = kept_with(Some(at(NOW + 1800)));
        assert!(kept.get(&client("s"), at(NOW + 1679)).is_some());
        assert!(kept.get(&client("s"), at(NOW + 1680)).is_none());
    }

    #[test]
    fn no_token_is_kept_for_more_than_its_hour() {
        for expires_at in [None, Some(at(NOW + 86_400)), Some(at(NOW * 1000))] {
            let kept = kept_with(expires_at);
            assert!(kept.get(&client("s"), at(NOW + 3479)).is_some());
            assert!(kept.get(&client("s"), at(NOW + 3480)).is_none());
        }
    }

    #[test]
    fn a_token_that_says_it_has_expired_is_not_kept() {
        for expires_at in [at(0), at(3600), at(NOW - 1), at(NOW + 60)] {
            assert!(kept_with(Some(expires_at)).get(&client("s"), at(NOW)).is_none());
        }
    }

    #[test]
    fn a_token_serves_the_credentials_that_it_was_got_with_alone() {
        assert!(kept_with(None).get(&client("other"), at(NOW)).is_none());
    }

    #[test]
    fn tokens_that_no_header_can_carry_are_refused() {
        for text in ["", " ", "a b", "a\r\nX-Other: b", "é"] {
            assert_eq!(AccessToken::new(Secret::new(text)), None, "{text:?}");
        }
    }
}
