//! Finds clients that do not finish onboarding, and numbers that are about to lapse. Pure.

use std::time::Duration;

use partner::{OnboardingLink, RegisteredNumber};
use serde::Serialize;
use shared::Timestamp;

/// Time before its end at which the registration of a number is reported. A number lapses 90 days after its registration (provider's
/// page: Get Registered numbers).
const ABOUT_TO_LAPSE: Duration = Duration::from_hours(14 * 24);

/// A client that has not finished onboarding for long, or a number that is about to lapse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "list", rename_all = "snake_case")]
pub enum Stuck {
    /// An onboarding link that the client has not finished. Its number may be a temporary one, so it is not here.
    OnboardingLinks {
        /// The partner's own reference.
        reference: Option<String>,
        /// The client's name.
        business_name: Option<String>,
        /// Time at which the link was made.
        created_at: String,
    },
    /// A registered number without an onboarding link.
    RegisteredNumbers {
        /// The number.
        whatsapp: Option<String>,
        /// Time at which its registration lapses.
        expires_at: String,
    },
}

/// Returns the links that have not been finished for `after`, and the numbers that lapse within two weeks. Leaves out links whose status or
/// time the provider does not give.
pub(crate) fn find(
    links: &[OnboardingLink],
    numbers: &[RegisteredNumber],
    after: Duration,
    now: Timestamp,
) -> Vec<Stuck> {
    let links = links.iter().filter_map(|link| {
        let created_at = link.created_at.filter(|at| link.is_finished == Some(false) && now.since(*at) >= after)?;
        Some(Stuck::OnboardingLinks {
            reference: link.reference.clone(),
            business_name: link.business_name.clone(),
            created_at: created_at.to_string(),
        })
    });
    let numbers = numbers.iter().filter_map(|number| {
        let expires_at = number.expires_at.filter(|at| *at > now && at.since(now) <= ABOUT_TO_LAPSE)?;
        Some(Stuck::RegisteredNumbers { whatsapp: number.whatsapp.clone(), expires_at: expires_at.to_string() })
    });
    links.chain(numbers).collect()
}

#[cfg(test)]
mod tests {
    use partner::OtherFields;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn noon() -> Timestamp {
        "2026-11-22T12:00:00.000000Z".parse().unwrap()
    }

    fn link(days: u32, is_finished: Option<bool>) -> OnboardingLink {
        OnboardingLink {
            created_at: Some(noon().minus(DAY * days)),
            whatsapp: None,
            is_finished,
            reference: Some(format!("client-{days}")),
            business_name: None,
            other: OtherFields::default(),
        }
    }

    #[test]
    fn a_link_is_stuck_when_it_is_not_finished_for_long_enough() {
        let links = [link(14, Some(false)), link(13, Some(false)), link(99, Some(true)), link(99, None)];
        let stuck = find(&links, &[], DAY * 14, noon());
        let expected = Stuck::OnboardingLinks {
            reference: Some("client-14".to_owned()),
            business_name: None,
            created_at: "2026-11-08T12:00:00.000000Z".to_owned(),
        };
        assert_eq!(stuck, [expected]);
    }

    #[test]
    fn a_number_is_reported_in_the_two_weeks_before_it_lapses() {
        let number = |expires_at| RegisteredNumber {
            whatsapp: Some("972501234567".to_owned()),
            expires_at,
            other: OtherFields::default(),
        };
        let numbers = [
            number(Some(noon().plus(DAY * 14))),
            number(Some(noon().plus(DAY * 15))),
            number(Some(noon().minus(DAY))),
            number(None),
        ];
        let stuck = find(&[], &numbers, DAY, noon());
        assert_eq!(stuck.len(), 1);
        assert_eq!(
            serde_json::to_value(&stuck[0]).unwrap(),
            serde_json::json!({"list": "registered_numbers", "whatsapp": "972501234567", "expires_at": "2026-12-06T12:00:00.000000Z"})
        );
    }
}
