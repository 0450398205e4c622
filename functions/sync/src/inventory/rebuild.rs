//! Rebuilds the first event of an entity from the elements of the lists. Pure.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use partner::{Builder, Line, OnboardingLink, OnlineAccount, Store};
use serde_json::{Map, Value, json};
use shared::{Entity, Event, EventId, FingerprintKey, Kind, Received, Secret, Timestamp};
use store::{Delivery, Origin, Tracked};

use crate::inventory::compare::Listed;

/// `request_id` of rebuilt events: no call of the webhook brought them.
const REQUEST_ID: &str = "inventory";

/// An entity with its first event, as its list has it.
#[derive(Clone, Debug)]
pub(crate) struct Rebuilt {
    pub(crate) listed: Listed,
    pub(crate) reference: Option<String>,
    /// The body of the event, in the form that the provider documents, with the key.
    body: Secret,
}

/// The entities of a list.
#[derive(Debug, Default)]
pub(crate) struct Entities {
    pub(crate) by_name: BTreeMap<Entity, Rebuilt>,
    /// Entities of which the list has two elements that contradict each other.
    contradicted: BTreeSet<Entity>,
    /// Number of elements that name no entity, or contradict another.
    pub(crate) unusable: usize,
}

/// The fields of an element that make an entity and its event.
struct Fields {
    kind: Kind,
    created_at: Option<Timestamp>,
    key: Option<Secret>,
    is_suspended: bool,
    reference: Option<String>,
    /// The members of the event, with `null` for those that the element does not have.
    body: Value,
    /// The fields that no documented event has.
    other: Map<String, Value>,
}

/// Returns the lines, each with the reference of its number's newest finished link. If that link has none, the line has none: those of
/// older links may be a former client's. The number of an unfinished link may be temporary, so such a link is not asked.
pub(crate) fn lines(lines: Vec<Line>, links: &[OnboardingLink], key: &FingerprintKey) -> Entities {
    let mut by_number = BTreeMap::<String, Option<&OnboardingLink>>::new();
    for link in links {
        let Some(number) = link.whatsapp.as_deref().map(digits) else { continue };
        match by_number.entry(number) {
            Entry::Vacant(entry) => _ = entry.insert(Some(link)),
            Entry::Occupied(mut entry) => {
                let known = entry.get().and_then(|known| known.created_at);
                if known < link.created_at {
                    entry.insert(Some(link));
                } else if known == link.created_at && entry.get().is_some_and(|same| same.reference != link.reference) {
                    // Two references of the same age: neither is known to be the line's.
                    entry.insert(None);
                }
            }
        }
    }
    Entities::of(
        key,
        lines.into_iter().map(|line| {
            let link = line.whatsapp.as_deref().and_then(|number| by_number.get(&digits(number)).copied().flatten());
            let reference = link.and_then(|link| link.reference.clone());
            Fields {
                kind: Kind::Whatsapp,
                created_at: line.created_at,
                is_suspended: false,
                body: json!({
                    "whatsapp": line.whatsapp,
                    "whatsapp_reference": reference,
                    "whatsapp_apiKey": line.api_key.as_ref().map(Secret::expose),
                    "display_name": line.display_name,
                    "business_name": line.business_name.or_else(|| link.and_then(|link| link.business_name.clone())),
                }),
                reference,
                key: line.api_key,
                other: line.other.0,
            }
        }),
    )
}

/// Returns the stores.
pub(crate) fn stores(stores: Vec<Store>, key: &FingerprintKey) -> Entities {
    Entities::of(
        key,
        stores.into_iter().map(|store| Fields {
            kind: Kind::Store,
            created_at: store.created_at,
            is_suspended: false,
            body: json!({
                "whatsapp": store.whatsapp,
                "store_reference": store.reference,
                "token": store.token.as_ref().map(Secret::expose),
                "business_name": store.business_name,
                "site_url": store.site_url,
                "is_finished": store.is_finished,
            }),
            reference: store.reference,
            key: store.token,
            other: store.other.0,
        }),
    )
}

/// Returns the accounts of the inbox product.
pub(crate) fn online_accounts(accounts: Vec<OnlineAccount>, key: &FingerprintKey) -> Entities {
    Entities::of(
        key,
        accounts.into_iter().map(|account| Fields {
            kind: Kind::Online,
            created_at: account.created_at,
            key: None,
            is_suspended: account
                .account_status
                .as_deref()
                .is_some_and(|status| status.eq_ignore_ascii_case("suspended")),
            body: json!({
                "accountID": account.account_id,
                "server": account.server,
                "online_reference": account.reference,
                "account_name": account.account_name,
                "account_status": account.account_status,
            }),
            reference: account.reference,
            other: account.other.0,
        }),
    )
}

/// Returns the bots.
pub(crate) fn builders(builders: Vec<Builder>, key: &FingerprintKey) -> Entities {
    Entities::of(
        key,
        builders.into_iter().map(|builder| Fields {
            kind: Kind::Builder,
            created_at: builder.created_at,
            key: None,
            is_suspended: false,
            body: json!({
                "builderID": builder.builder_id,
                "builder_url": builder.url,
                "builder_reference": builder.reference,
                "client": builder.client,
            }),
            reference: builder.reference,
            other: builder.other.0,
        }),
    )
}

impl Entities {
    fn of(key: &FingerprintKey, elements: impl Iterator<Item = Fields>) -> Self {
        let mut entities = Self::default();
        for fields in elements {
            match fields.rebuild(key) {
                Some((entity, rebuilt)) => entities.add(entity, rebuilt),
                None => entities.unusable += 1,
            }
        }
        entities
    }

    /// Adds an element. Of two with the same entity the one created later counts. Two of the same age with different keys
    /// contradict each other, and neither counts.
    fn add(&mut self, entity: Entity, rebuilt: Rebuilt) {
        if self.contradicted.contains(&entity) {
            self.unusable += 1;
            return;
        }
        match self.by_name.entry(entity) {
            Entry::Vacant(entry) => _ = entry.insert(rebuilt),
            Entry::Occupied(mut entry) => {
                let (known, new) = (&entry.get().listed, &rebuilt.listed);
                if known.created_at < new.created_at {
                    entry.insert(rebuilt);
                } else if known.created_at == new.created_at && known.key != new.key {
                    self.contradicted.insert(entry.remove_entry().0);
                    self.unusable += 2;
                }
            }
        }
    }
}

impl Fields {
    fn rebuild(self, key: &FingerprintKey) -> Option<(Entity, Rebuilt)> {
        let mut body = Map::new();
        body.insert("status".to_owned(), json!("OK"));
        body.insert("event".to_owned(), json!(self.kind));
        if let Value::Object(members) = self.body {
            body.extend(members.into_iter().filter(|(_, value)| !value.is_null()));
        }
        body.extend(self.created_at.map(|at| ("create_time".to_owned(), json!(at.as_secs()))));
        body.insert("listed".to_owned(), Value::Object(self.other));
        let body = Value::Object(body).to_string();
        // The entity is named by the same rules as that of a delivered event.
        let entity = Event::decode(body.as_bytes()).ok()?.entity;
        let listed = Listed {
            created_at: self.created_at,
            is_suspended: self.is_suspended,
            key: self.key.map(|of| key_fingerprint(&of, key)),
        };
        entity.is_whole().then_some((entity, Rebuilt { listed, reference: self.reference, body: Secret::new(body) }))
    }
}

impl Rebuilt {
    /// Returns the event as a delivery. Its id is the same for the same entity, creation and time of the list.
    pub(crate) fn delivery(&self, tracked: &Tracked, at: Timestamp, key: &FingerprintKey) -> Delivery {
        let created_at = tracked.created_at.map(|at| at.to_string()).unwrap_or_default();
        let hash = key.fingerprint(format!("inventory {} {created_at}", tracked.entity).as_bytes()).to_string();
        let random = u64::from_str_radix(&hash[..16], 16).unwrap_or_default().to_be_bytes();
        let received = Received {
            id: EventId::new(at, random),
            received_at: at,
            source_ip: None,
            request_id: REQUEST_ID.to_owned(),
            content_type: None,
            content_encoding: None,
            body: self.body.expose().as_bytes().to_vec(),
        };
        Delivery { origin: Origin::Reconciled, ..Delivery::decode(&received, key) }
    }
}

/// Returns the fingerprint of a key, which says nothing about the key without the fingerprint key.
pub(crate) fn key_fingerprint(of: &Secret, key: &FingerprintKey) -> String {
    key.fingerprint(of.expose().as_bytes()).to_string()
}

fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint_key() -> FingerprintKey {
        FingerprintKey::new(Secret::new("a key for tests only")).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn line(whatsapp: &str, created: i64, api_key: &str) -> Line {
        Line {
            whatsapp: Some(whatsapp.to_owned()),
            created_at: Some(at(created)),
            api_key: Some(Secret::new(api_key)),
            display_name: Some("Acme".to_owned()),
            business_name: None,
            other: partner::OtherFields::default(),
        }
    }

    fn link(whatsapp: Option<&str>, created: i64, reference: &str) -> OnboardingLink {
        OnboardingLink {
            created_at: Some(at(created)),
            whatsapp: whatsapp.map(str::to_owned),
            is_finished: Some(whatsapp.is_some()),
            reference: Some(reference.to_owned()),
            business_name: Some("Acme Ltd".to_owned()),
            other: partner::OtherFields::default(),
        }
    }

    fn only(entities: Entities) -> (Entity, Rebuilt) {
        assert_eq!((entities.by_name.len(), entities.unusable), (1, 0), "{entities:?}");
        entities.by_name.into_iter().next().unwrap()
    }

    fn rebuilt(entity: &Entity, rebuilt: &Rebuilt, created: i64, listed: i64) -> Delivery {
        let tracked = Tracked { created_at: Some(at(created)), ..Tracked::new(entity.clone()) };
        rebuilt.delivery(&tracked, at(listed), &fingerprint_key())
    }

    #[test]
    fn a_line_is_rebuilt_with_the_reference_of_its_link_and_its_key_sealed() {
        let links = [link(Some("+972-50-1234567"), 5, "client-7")];
        let (entity, line) = only(lines(vec![line("972501234567", 5, "123-456-789")], &links, &fingerprint_key()));
        assert_eq!((entity.as_str(), line.reference.as_deref()), ("whatsapp#972501234567", Some("client-7")));
        let delivery = rebuilt(&entity, &line, 5, 9);
        assert_eq!((delivery.origin, delivery.received_at), (Origin::Reconciled, at(9)));
        let store::Content::Event(event) = &delivery.content else { panic!("quarantined") };
        assert_eq!(event.fields.reference(), Some("client-7"));
        assert_eq!(event.fields.extra_info(), None, "nobody knows the update code");
        assert_eq!(event.sealed.as_ref().unwrap().api_key, Some(Secret::new("123-456-789")));
        assert!(!format!("{line:?} {delivery:?}").contains("123-456"));
    }

    #[test]
    fn the_id_is_the_same_for_the_same_entity_creation_and_list_alone() {
        let entity_and_line = || only(lines(vec![line("972501234567", 5, "k")], &[], &fingerprint_key()));
        let (entity, line) = entity_and_line();
        let id = |created, listed| rebuilt(&entity, &line, created, listed).id;
        let (same_entity, same_line) = entity_and_line();
        assert_eq!(id(5, 9), rebuilt(&same_entity, &same_line, 5, 9).id);
        assert_ne!(id(5, 9), id(6, 9));
        assert_ne!(id(5, 9), id(5, 10));
        let other = Entity::named("whatsapp#972500000000");
        assert_ne!(id(5, 9), rebuilt(&other, &line, 5, 9).id);
    }

    #[test]
    fn of_a_number_that_is_used_again_the_newest_line_and_link_count() {
        let links = [link(Some("97250"), 5, "old"), link(Some("97250"), 8, "new"), link(Some("97250"), 6, "between")];
        let twice = || vec![line("97250", 8, "new-key"), line("97250", 5, "old-key")];
        let without_reference = OnboardingLink { reference: None, ..link(Some("97250"), 9, "") };
        let (_, later) = only(lines(twice(), &[&links[..], &[without_reference]].concat(), &fingerprint_key()));
        assert_eq!(later.reference, None, "the reference is a former client's");
        let (_, line) = only(lines(twice(), &links, &fingerprint_key()));
        assert_eq!((line.reference.as_deref(), line.listed.created_at), (Some("new"), Some(at(8))));
        assert_eq!(line.listed.key, Some(key_fingerprint(&Secret::new("new-key"), &fingerprint_key())));
    }

    #[test]
    fn contradictions_are_not_resolved() {
        let links = [link(Some("97250"), 5, "one"), link(Some("97250"), 5, "other")];
        let (_, same) = only(lines(vec![line("97250", 5, "k"), line("97250", 5, "k")], &links, &fingerprint_key()));
        assert_eq!(same.reference, None);
        let three = vec![line("97250", 5, "one"), line("97250", 5, "other"), line("97250", 5, "one")];
        let entities = lines(three, &[], &fingerprint_key());
        assert_eq!((entities.by_name.len(), entities.unusable), (0, 3));
    }

    #[test]
    fn an_element_that_names_no_entity_is_counted() {
        let nameless = Line { whatsapp: None, ..line("", 5, "k") };
        assert_eq!(lines(vec![nameless], &[], &fingerprint_key()).unusable, 1);
        let account = |account_id: Option<&str>, server: Option<&str>| OnlineAccount {
            account_id: account_id.map(str::to_owned),
            server: server.map(str::to_owned),
            created_at: None,
            account_status: Some("Suspended".to_owned()),
            account_name: None,
            reference: None,
            other: partner::OtherFields::default(),
        };
        let accounts =
            vec![account(Some("1"), Some("online")), account(None, Some("online")), account(Some("1"), None)];
        let entities = online_accounts(accounts, &fingerprint_key());
        assert_eq!(entities.unusable, 2);
        let (entity, account) = entities.by_name.into_iter().next().unwrap();
        assert_eq!((entity.as_str(), account.listed.is_suspended), ("online#online#1", true));
    }

    #[test]
    fn stores_and_bots_are_entities_of_their_own() {
        let store = Store {
            whatsapp: Some("972501234567".to_owned()),
            created_at: Some(at(5)),
            token: Some(Secret::new("abc123xyz")),
            reference: Some("r".to_owned()),
            is_finished: Some(true),
            business_name: None,
            site_url: None,
            other: partner::OtherFields::default(),
        };
        let (entity, store) = only(stores(vec![store], &fingerprint_key()));
        assert_eq!(entity.as_str(), "store#972501234567");
        let store::Content::Event(event) = rebuilt(&entity, &store, 5, 9).content else { panic!("quarantined") };
        assert_eq!(event.sealed.unwrap().api_key, Some(Secret::new("abc123xyz")));
        let builder = Builder {
            builder_id: Some("523".to_owned()),
            created_at: None,
            url: Some("https://builder.example/".to_owned()),
            client: None,
            reference: None,
            other: partner::OtherFields::default(),
        };
        let (entity, builder) = only(builders(vec![builder], &fingerprint_key()));
        assert_eq!((entity.as_str(), builder.listed.key), ("builder#523", None));
    }
}
