//! Gets the provider's lists. One that is not complete is left out of everything, with the cause in the report.

use std::collections::BTreeMap;

use partner::{List, OnboardingLink, PartnerError, RegisteredNumber, Session};
use serde::Serialize;
use shared::{FingerprintKey, Kind, Timestamp};

use crate::{
    inventory::rebuild::{self, Entities},
    invocation::Clock,
};

/// The answer to the call of a list, for the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListReport {
    /// True when the list is complete, so that it counts.
    pub complete: bool,
    /// Number of elements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elements: Option<usize>,
    /// Number of elements that name no entity, or contradict another. While a list has any, nothing of it is marked as gone.
    pub unusable: usize,
    /// Why the list does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// The entities of a kind in a complete list.
pub(crate) struct KindList {
    pub(crate) kind: Kind,
    /// Time right before the list was asked for.
    pub(crate) at: Timestamp,
    pub(crate) entities: Entities,
    /// True when the provider sends events of this kind.
    pub(crate) has_events: bool,
    /// False when another list, which has a part of the events, is not complete.
    pub(crate) can_rebuild: bool,
}

/// The complete lists of a pass, and the report about all.
#[derive(Default)]
pub(crate) struct Lists {
    pub(crate) report: BTreeMap<&'static str, ListReport>,
    pub(crate) kinds: Vec<KindList>,
    pub(crate) links: Vec<OnboardingLink>,
    pub(crate) numbers: Vec<RegisteredNumber>,
}

impl Lists {
    /// Gets all lists, one after another. A list that fails does not keep the others from being read.
    ///
    /// # Errors
    /// The provider refuses the credentials: it would refuse them for every list.
    pub(crate) async fn get(
        session: &mut Session<'_>,
        clock: Clock,
        key: &FingerprintKey,
    ) -> Result<Self, PartnerError> {
        let mut lists = Self::default();
        let links = session.onboarding_links().await;
        let has_links = links.is_ok();
        lists.links = lists.note(List::OnboardingLinks, links)?.unwrap_or_default();
        let numbers = session.registered_numbers().await;
        lists.numbers = lists.note(List::RegisteredNumbers, numbers)?.unwrap_or_default();

        let (at, lines) = (clock.now(), session.lines().await);
        if let Some(lines) = lists.note(List::Lines, lines)? {
            let entities = rebuild::lines(lines, &lists.links, key);
            lists.add(List::Lines, Kind::Whatsapp, at, entities, has_links);
        }
        let (at, stores) = (clock.now(), session.stores().await);
        if let Some(stores) = lists.note(List::Stores, stores)? {
            lists.add(List::Stores, Kind::Store, at, rebuild::stores(stores, key), true);
        }
        let (at, accounts) = (clock.now(), session.online_accounts().await);
        if let Some(accounts) = lists.note(List::OnlineAccounts, accounts)? {
            lists.add(List::OnlineAccounts, Kind::Online, at, rebuild::online_accounts(accounts, key), true);
        }
        let (at, builders) = (clock.now(), session.builders().await);
        if let Some(builders) = lists.note(List::Builders, builders)? {
            lists.add(List::Builders, Kind::Builder, at, rebuild::builders(builders, key), true);
        }
        Ok(lists)
    }

    /// Returns whether every list is complete.
    pub(crate) fn are_complete(&self) -> bool {
        self.report.values().all(|list| list.complete)
    }

    fn note<T>(&mut self, list: List, got: Result<Vec<T>, PartnerError>) -> Result<Option<Vec<T>>, PartnerError> {
        let (report, elements) = match got {
            Ok(elements) => {
                let report = ListReport { complete: true, elements: Some(elements.len()), unusable: 0, cause: None };
                (report, Some(elements))
            }
            Err(error) if error.concerns_every_call() => return Err(error),
            Err(error) => {
                let report =
                    ListReport { complete: false, elements: None, unusable: 0, cause: Some(error.to_string()) };
                (report, None)
            }
        };
        self.report.insert(list.name(), report);
        Ok(elements)
    }

    fn add(&mut self, list: List, kind: Kind, at: Timestamp, entities: Entities, can_rebuild: bool) {
        if let Some(report) = self.report.get_mut(list.name()) {
            report.unusable = entities.unusable;
        }
        let has_events = kind != Kind::Store;
        self.kinds.push(KindList { kind, at, entities, has_events, can_rebuild });
    }
}
