use std::time::Duration;

use shared::{RegisteredUrl, Timestamp};
use store::CompetingUrl;

use crate::{config::SyncMode, registration::compare::Whereabouts};

/// Maximum number of repairs that the same URL undoes before sync gives up.
pub(crate) const REPAIRS: u32 = 3;

/// Time for which a repair counts: two deployments that check once a day still notice each other.
const REMEMBERED: Duration = Duration::from_hours(7 * 24);

/// The purpose of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// To follow the mode: enforce our URL or observe.
    Sync,
    /// To register ours with a new token.
    Rotate,
    /// To register ours for a deployment.
    Register,
}

/// The next step for the registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing: the registered URL is right.
    Leave,
    /// Nothing, because the mode is to observe: another URL is registered.
    Observe,
    /// Nothing, because a competing URL would replace ours again.
    Contested,
    /// Finish a rotation: our URL is registered with its new token.
    Finish,
    /// Register our URL.
    Register,
    /// Register our URL with a new token.
    Rotate,
}

/// The facts that a decision rests on.
pub(crate) struct Facts<'a> {
    pub(crate) intent: Intent,
    pub(crate) mode: SyncMode,
    pub(crate) found: &'a Whereabouts,
    /// True when a rotation is unfinished.
    pub(crate) rotating: bool,
    pub(crate) competing: Option<&'a CompetingUrl>,
    /// True when the current token has reached its maximum age.
    pub(crate) token_is_old: bool,
}

impl Facts<'_> {
    pub(crate) fn decide(&self) -> Decision {
        let observing = self.intent == Intent::Sync && self.mode == SyncMode::Observe;
        let register = if self.intent == Intent::Rotate { Decision::Rotate } else { Decision::Register };
        match self.found {
            Whereabouts::Pending => Decision::Finish,
            Whereabouts::Current if observing => Decision::Leave,
            Whereabouts::Current if self.rotating || self.intent == Intent::Rotate => register,
            Whereabouts::Current if self.intent == Intent::Sync && self.token_is_old => Decision::Rotate,
            Whereabouts::Current => Decision::Leave,
            _ if observing => Decision::Observe,
            Whereabouts::Elsewhere(url) if self.intent != Intent::Register && is_contested_by(self.competing, url) => {
                Decision::Contested
            }
            Whereabouts::Elsewhere(_) | Whereabouts::OtherToken(_) | Whereabouts::Nowhere => register,
        }
    }
}

/// Returns whether a URL has come back after each of the last repairs, however long ago they were.
pub(crate) fn is_contested_by(competing: Option<&CompetingUrl>, found: &RegisteredUrl) -> bool {
    competing.is_some_and(|competing| competing.url == found.to_string() && competing.repairs >= REPAIRS)
}

/// Counts a repair, in which ours replaced a URL, given masked.
pub(crate) fn repaired(competing: Option<&CompetingUrl>, replaced: &str, now: Timestamp) -> CompetingUrl {
    let same = competing.filter(|competing| competing.url == replaced && !is_over(competing, now));
    let repairs = same.map_or(0, |competing| competing.repairs).saturating_add(1);
    CompetingUrl { url: replaced.to_owned(), repairs, repaired_at: now }
}

/// Returns whether a URL has stayed away long enough to be forgotten, if ours is registered now.
pub(crate) fn is_over(competing: &CompetingUrl, now: Timestamp) -> bool {
    now.since(competing.repaired_at) >= REMEMBERED
}

#[cfg(test)]
mod tests {
    use shared::TokenHash;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn noon() -> Timestamp {
        "2026-11-22T12:00:00.000000Z".parse().unwrap()
    }

    fn foreign(text: &str) -> RegisteredUrl {
        RegisteredUrl::new(text).unwrap()
    }

    fn all_whereabouts() -> [Whereabouts; 5] {
        [
            Whereabouts::Current,
            Whereabouts::Pending,
            Whereabouts::OtherToken(TokenHash::of("older")),
            Whereabouts::Elsewhere(foreign("https://other.example/in")),
            Whereabouts::Nowhere,
        ]
    }

    fn decide(intent: Intent, mode: SyncMode, found: &Whereabouts) -> Decision {
        Facts { intent, mode, found, rotating: false, competing: None, token_is_old: false }.decide()
    }

    #[test]
    fn any_url_but_ours_is_replaced_unless_the_mode_is_to_observe() {
        for found in all_whereabouts().iter().skip(2) {
            assert_eq!(decide(Intent::Sync, SyncMode::Enforce, found), Decision::Register, "{found}");
            assert_eq!(decide(Intent::Sync, SyncMode::Observe, found), Decision::Observe, "{found}");
            for mode in [SyncMode::Enforce, SyncMode::Observe] {
                assert_eq!(decide(Intent::Register, mode, found), Decision::Register, "{found} {mode:?}");
                assert_eq!(decide(Intent::Rotate, mode, found), Decision::Rotate, "{found} {mode:?}");
            }
        }
    }

    #[test]
    fn a_rotation_whose_url_is_registered_is_finished_whoever_asks() {
        for intent in [Intent::Sync, Intent::Rotate, Intent::Register] {
            for mode in [SyncMode::Enforce, SyncMode::Observe] {
                assert_eq!(decide(intent, mode, &Whereabouts::Pending), Decision::Finish);
            }
        }
    }

    #[test]
    fn a_rotation_that_stopped_before_its_url_was_registered_goes_on_unless_the_mode_is_to_observe() {
        let decide = |intent, mode| {
            let found = &Whereabouts::Current;
            Facts { intent, mode, found, rotating: true, competing: None, token_is_old: true }.decide()
        };
        assert_eq!(decide(Intent::Sync, SyncMode::Enforce), Decision::Register);
        assert_eq!(decide(Intent::Sync, SyncMode::Observe), Decision::Leave);
        assert_eq!(decide(Intent::Rotate, SyncMode::Observe), Decision::Rotate);
    }

    #[test]
    fn a_rotation_that_is_asked_for_is_started_in_any_mode() {
        for mode in [SyncMode::Enforce, SyncMode::Observe] {
            assert_eq!(decide(Intent::Rotate, mode, &Whereabouts::Current), Decision::Rotate);
        }
    }

    #[test]
    fn an_old_token_starts_a_rotation_only_while_ours_is_registered_and_kept() {
        let decide = |intent, mode, found: &Whereabouts| {
            Facts { intent, mode, found, rotating: false, competing: None, token_is_old: true }.decide()
        };
        assert_eq!(decide(Intent::Sync, SyncMode::Enforce, &Whereabouts::Current), Decision::Rotate);
        assert_eq!(decide(Intent::Sync, SyncMode::Observe, &Whereabouts::Current), Decision::Leave);
        assert_eq!(decide(Intent::Register, SyncMode::Enforce, &Whereabouts::Current), Decision::Leave);
        assert_eq!(decide(Intent::Sync, SyncMode::Enforce, &Whereabouts::Nowhere), Decision::Register);
    }

    /// Returns the decisions of a number of checks, one `every` while, when one of the URLs comes back after each repair.
    fn fight(checks: usize, every: Duration, urls: &[&str]) -> Vec<Decision> {
        let (mut now, mut competing) = (noon(), None);
        let mut decisions = Vec::new();
        for url in urls.iter().cycle().take(checks) {
            let found = &Whereabouts::Elsewhere(foreign(url));
            let facts = Facts {
                intent: Intent::Sync,
                mode: SyncMode::Enforce,
                found,
                rotating: false,
                competing: competing.as_ref(),
                token_is_old: false,
            };
            decisions.push(facts.decide());
            if decisions.last() == Some(&Decision::Register) {
                competing = Some(repaired(competing.as_ref(), &foreign(url).to_string(), now));
            }
            now = now.plus(every);
        }
        decisions
    }

    #[test]
    fn after_three_repairs_undone_by_the_same_url_nothing_is_repaired() {
        use Decision::{Contested, Register};
        let expected = [&[Register; 3][..], &[Contested; 9][..]].concat();
        for every in [HOUR / 60, HOUR, HOUR * 24, HOUR * 24 * 7 - Duration::from_secs(1)] {
            assert_eq!(fight(12, every, &["https://other.example/in"]), expected);
        }
    }

    #[test]
    fn different_urls_and_urls_that_return_after_a_week_are_not_a_contest() {
        assert_eq!(fight(9, HOUR, &["https://one.example/in", "https://two.example/in"]), [Decision::Register; 9]);
        assert_eq!(fight(9, HOUR * 24 * 7, &["https://other.example/in"]), [Decision::Register; 9]);
    }

    #[test]
    fn a_deployment_registers_ours_also_when_it_is_contested_and_a_rotation_does_not() {
        let found = &Whereabouts::Elsewhere(foreign("https://other.example/in"));
        let competing =
            CompetingUrl { url: "https://other.example/***5829".to_owned(), repairs: REPAIRS, repaired_at: noon() };
        for (intent, decision) in [
            (Intent::Sync, Decision::Contested),
            (Intent::Rotate, Decision::Contested),
            (Intent::Register, Decision::Register),
        ] {
            let facts = Facts {
                intent,
                mode: SyncMode::Enforce,
                found,
                rotating: false,
                competing: Some(&competing),
                token_is_old: false,
            };
            assert_eq!(facts.decide(), decision);
        }
    }
}
