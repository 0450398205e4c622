//! The provider's lists of everything that exists.
//!
//! One answer has a whole list. It counts only when it is complete: it parses, its total, where the provider documents one, is the
//! number of its elements, and every element is an object. Within an element a field that is missing or of another type is read as
//! missing, and fields that the provider does not document are kept.

use std::fmt;

use serde_json::{Map, Value};
use shared::{Secret, Timestamp};

use crate::{
    error::Unexpected,
    messages::{Reason, read_object},
    operation::List,
};

impl List {
    /// Returns the member of the answer that has the number of elements. The provider documents none for the other lists.
    fn total(self) -> Option<&'static str> {
        match self {
            Self::Lines => Some("totalWhatsApp"),
            Self::Stores => Some("totalStores"),
            Self::OnlineAccounts => Some("totalOnline"),
            Self::Builders => Some("totalBuilders"),
            Self::OnboardingLinks | Self::RegisteredNumbers => None,
        }
    }
}

/// The answer to the call of a list.
pub(crate) enum ListAnswer {
    /// The whole list.
    Complete(Vec<Element>),
    /// Not answered, and the reason.
    Refused(Reason),
}

impl ListAnswer {
    pub(crate) fn read(list: List, body: &[u8]) -> Result<Self, Unexpected> {
        let mut object = read_object(body)?;
        if let Some(reason) = object.refused()? {
            return Ok(Self::Refused(reason));
        }
        let elements = match object.0.remove("list") {
            Some(Value::Array(elements)) => elements,
            Some(_) => return Err(Unexpected::WrongType("list")),
            None => return Err(Unexpected::MissingField("list")),
        };
        if let Some(name) = list.total() {
            let total = object.integer(name)?.ok_or(Unexpected::MissingField(name))?;
            if usize::try_from(total) != Ok(elements.len()) {
                return Err(Unexpected::WrongTotal { total, elements: elements.len() });
            }
        }
        let element = |element| match element {
            Value::Object(members) => Ok(Element(members)),
            _ => Err(Unexpected::WrongType("list")),
        };
        elements.into_iter().map(element).collect::<Result<_, _>>().map(Self::Complete)
    }
}

/// An element of a list, from which documented fields are taken one by one.
pub(crate) struct Element(Map<String, Value>);

impl Element {
    /// Takes a text that is not empty. A number is taken as its digits.
    fn text(&mut self, name: &str) -> Option<String> {
        let text = match self.0.remove(name)? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        (!text.trim().is_empty()).then_some(text)
    }

    fn secret(&mut self, name: &str) -> Option<Secret> {
        self.text(name).map(Secret::new)
    }

    fn integer(&mut self, name: &str) -> Option<i64> {
        self.text(name)?.trim().parse().ok()
    }

    /// Takes a flag, which the provider writes as 0 or 1.
    fn flag(&mut self, name: &str) -> Option<bool> {
        if let Some(Value::Bool(flag)) = self.0.get(name) {
            return Some(*flag);
        }
        match self.integer(name)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// Takes a time, which the provider writes as Unix seconds.
    fn time(&mut self, name: &str) -> Option<Timestamp> {
        let seconds = self.integer(name).filter(|seconds| *seconds > 0)?;
        Some(Timestamp::from_micros(seconds.saturating_mul(1_000_000)))
    }

    fn rest(self) -> OtherFields {
        OtherFields(self.0)
    }
}

/// The fields of an element that have no place of their own in its type. `Debug` output has their number only, because they may
/// hold anything.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OtherFields(pub Map<String, Value>);

impl fmt::Debug for OtherFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} other fields", self.0.len())
    }
}

/// A WhatsApp line whose client has finished onboarding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The line's number, as the provider writes it.
    pub whatsapp: Option<String>,
    /// Time at which its onboarding link was made. The client may have finished much later.
    pub created_at: Option<Timestamp>,
    /// The line's key for the WhatsApp V2 API.
    pub api_key: Option<Secret>,
    /// The name that the line's contacts see.
    pub display_name: Option<String>,
    /// The client's name.
    pub business_name: Option<String>,
    /// All other fields.
    pub other: OtherFields,
}

impl Line {
    pub(crate) fn read(mut element: Element) -> Self {
        Self {
            whatsapp: element.text("whatsapp"),
            created_at: element.time("create_time"),
            api_key: element.secret("apiKey"),
            display_name: element.text("display_name"),
            business_name: element.text("business_name"),
            other: element.rest(),
        }
    }
}

/// An onboarding link of a WhatsApp line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnboardingLink {
    /// Time at which it was made.
    pub created_at: Option<Timestamp>,
    /// The number of the line; `None` while the client has not finished, because it may be a temporary one then.
    pub whatsapp: Option<String>,
    /// True when the client has finished onboarding; `None` when the provider does not say.
    pub is_finished: Option<bool>,
    /// The partner's own reference.
    pub reference: Option<String>,
    /// The client's name.
    pub business_name: Option<String>,
    /// All other fields.
    pub other: OtherFields,
}

impl OnboardingLink {
    pub(crate) fn read(mut element: Element) -> Self {
        let is_finished = element.flag("status");
        // Removed in every case: the temporary number must not reach anybody who could take it for the line's.
        let whatsapp = element.text("whatsapp");
        Self {
            created_at: element.time("create_time"),
            whatsapp: whatsapp.filter(|_| is_finished == Some(true)),
            is_finished,
            reference: element.text("reference"),
            business_name: element.text("business_name"),
            other: element.rest(),
        }
    }
}

/// A number that waits for an onboarding link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredNumber {
    /// The number, as the provider writes it.
    pub whatsapp: Option<String>,
    /// Time at which its registration lapses.
    pub expires_at: Option<Timestamp>,
    /// All other fields.
    pub other: OtherFields,
}

impl RegisteredNumber {
    pub(crate) fn read(mut element: Element) -> Self {
        Self { whatsapp: element.text("whatsapp"), expires_at: element.time("expiration"), other: element.rest() }
    }
}

/// A WhatsApp store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The number of its line, as the provider writes it.
    pub whatsapp: Option<String>,
    /// Time at which it was created.
    pub created_at: Option<Timestamp>,
    /// The credential of the store.
    pub token: Option<Secret>,
    /// The partner's own reference.
    pub reference: Option<String>,
    /// True when the client has finished onboarding; `None` when the provider does not say.
    pub is_finished: Option<bool>,
    /// The client's name.
    pub business_name: Option<String>,
    /// The address of its web site.
    pub site_url: Option<String>,
    /// All other fields.
    pub other: OtherFields,
}

impl Store {
    pub(crate) fn read(mut element: Element) -> Self {
        Self {
            whatsapp: element.text("whatsapp"),
            created_at: element.time("created_at"),
            token: element.secret("token"),
            reference: element.text("reference"),
            is_finished: element.flag("status"),
            business_name: element.text("business_name"),
            site_url: element.text("site_url"),
            other: element.rest(),
        }
    }
}

/// An account of the inbox product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnlineAccount {
    /// The account's number on its server.
    pub account_id: Option<String>,
    /// The server's name.
    pub server: Option<String>,
    /// Time at which it was created.
    pub created_at: Option<Timestamp>,
    /// `active` or `suspended`.
    pub account_status: Option<String>,
    /// The account's name.
    pub account_name: Option<String>,
    /// The partner's own reference.
    pub reference: Option<String>,
    /// All other fields.
    pub other: OtherFields,
}

impl OnlineAccount {
    pub(crate) fn read(mut element: Element) -> Self {
        Self {
            account_id: element.text("account_id"),
            server: element.text("server"),
            created_at: element.time("create_time"),
            account_status: element.text("account_status"),
            account_name: element.text("account_name"),
            reference: element.text("reference"),
            other: element.rest(),
        }
    }
}

/// A bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Builder {
    /// The bot's number.
    pub builder_id: Option<String>,
    /// Time at which it was created.
    pub created_at: Option<Timestamp>,
    /// The address of its editor.
    pub url: Option<String>,
    /// The client's name.
    pub client: Option<String>,
    /// The partner's own reference. The provider documents it and leaves it out of its example.
    pub reference: Option<String>,
    /// All other fields.
    pub other: OtherFields,
}

impl Builder {
    pub(crate) fn read(mut element: Element) -> Self {
        Self {
            builder_id: element.text("builderID"),
            created_at: element.time("create_time"),
            url: element.text("url"),
            client: element.text("client"),
            reference: element.text("reference"),
            other: element.rest(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(list: List, body: &Value) -> Result<Vec<Element>, Unexpected> {
        match ListAnswer::read(list, body.to_string().as_bytes())? {
            ListAnswer::Complete(elements) => Ok(elements),
            ListAnswer::Refused(Reason(reason)) => panic!("refused: {reason}"),
        }
    }

    fn error(list: List, body: &Value) -> Unexpected {
        read(list, body).err().unwrap()
    }

    /// Returns a complete answer with these elements.
    fn answer(list: List, elements: Value) -> Value {
        let mut answer = json!({ "status": "OK", "reason": 1 });
        if let Some(total) = list.total() {
            answer[total] = elements.as_array().unwrap().len().into();
        }
        answer["list"] = elements;
        answer
    }

    fn only<T>(list: List, element: Value, read_element: fn(Element) -> T) -> T {
        let [element] = read(list, &answer(list, json!([element]))).unwrap().try_into().ok().unwrap();
        read_element(element)
    }

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp::from_micros(seconds * 1_000_000))
    }

    #[test]
    fn every_list_is_read_with_its_documented_total_and_refused_without_it() {
        for list in List::ALL {
            let whole = answer(list, json!([{}, {}]));
            assert_eq!(read(list, &whole).unwrap().len(), 2, "{list:?}");
            assert!(read(list, &answer(list, json!([]))).unwrap().is_empty(), "{list:?}");
            let Some(total) = list.total() else { continue };
            for (said, fault) in [
                (json!(3), Unexpected::WrongTotal { total: 3, elements: 2 }),
                (json!("0"), Unexpected::WrongTotal { total: 0, elements: 2 }),
                (json!(-2), Unexpected::WrongTotal { total: -2, elements: 2 }),
                (json!(null), Unexpected::WrongType(total)),
                (json!("two"), Unexpected::WrongType(total)),
            ] {
                let mut wrong = whole.clone();
                wrong[total] = said;
                assert_eq!(error(list, &wrong), fault, "{list:?}");
            }
            let mut without = whole.clone();
            without.as_object_mut().unwrap().remove(total);
            assert_eq!(error(list, &without), Unexpected::MissingField(total));
            let mut as_text = whole;
            as_text[total] = json!("2");
            assert!(read(list, &as_text).is_ok());
        }
    }

    #[test]
    fn an_answer_without_a_list_is_no_empty_list() {
        let list = List::OnboardingLinks;
        assert_eq!(error(list, &json!({ "status": "OK", "reason": 1 })), Unexpected::MissingField("list"));
        for value in [json!(null), json!({}), json!(""), json!(0)] {
            let body = json!({ "status": "OK", "reason": 1, "list": value });
            assert_eq!(error(list, &body), Unexpected::WrongType("list"), "{body}");
        }
        for element in [json!(null), json!([]), json!("972501234567")] {
            assert_eq!(error(list, &answer(list, json!([{}, element]))), Unexpected::WrongType("list"));
        }
    }

    #[test]
    fn a_refusal_and_an_answer_that_does_not_parse_are_told_apart() {
        for reason in [2, 3, 13, 99] {
            let body = json!({ "status": "FAIL", "reason": reason, "list": [], "totalWhatsApp": 0 }).to_string();
            let answer = ListAnswer::read(List::Lines, body.as_bytes());
            assert!(matches!(answer, Ok(ListAnswer::Refused(Reason(n))) if n == reason));
        }
        // As in the provider's own examples.
        let without_comma = "{\"status\": \"OK\",\"reason\": 1\n\"list\": []}";
        for (body, fault) in [
            (without_comma, Unexpected::NotAnObject),
            (r#"{"status":"OK","reason":1,"list":[{"whatsapp":"97250"#, Unexpected::NotAnObject),
            ("[]", Unexpected::NotAnObject),
            ("", Unexpected::Empty),
            (r#"{"list":[]}"#, Unexpected::MissingField("status, reason")),
        ] {
            let answer = ListAnswer::read(List::RegisteredNumbers, body.as_bytes());
            assert_eq!(answer.err(), Some(fault), "{body}");
        }
    }

    #[test]
    fn a_line_is_read_with_its_key_hidden_and_unknown_fields_kept() {
        let line = only(
            List::Lines,
            json!({"create_time":1735811185,"whatsapp":"972501234567","apiKey":"123-456-789","display_name":"Acme",
                "business_name":"Acme Ltd","isOnline":1,"coexistence":0,"new_field":{"a":"s3cret"}}),
            Line::read,
        );
        assert_eq!((line.whatsapp.as_deref(), line.created_at), (Some("972501234567"), at(1_735_811_185)));
        assert_eq!(line.api_key.as_ref().unwrap().expose(), "123-456-789");
        assert_eq!((line.display_name.as_deref(), line.business_name.as_deref()), (Some("Acme"), Some("Acme Ltd")));
        let names: Vec<&str> = line.other.0.keys().map(String::as_str).collect();
        assert_eq!(names, ["coexistence", "isOnline", "new_field"]);
        let shown = format!("{line:?}");
        assert!(!shown.contains("123-456") && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn texts_as_numbers_and_numbers_as_texts_are_read_and_other_types_are_missing() {
        let line = |whatsapp: Value, create_time: Value| {
            only(List::Lines, json!({ "whatsapp": whatsapp, "create_time": create_time }), Line::read)
        };
        let read = line(json!(972_501_234_567_u64), json!("1735811185"));
        assert_eq!((read.whatsapp.as_deref(), read.created_at), (Some("972501234567"), at(1_735_811_185)));
        for odd in [json!(null), json!([]), json!({}), json!(true), json!(" ")] {
            let read = line(odd.clone(), odd);
            assert_eq!((read.whatsapp, read.created_at), (None, None));
        }
        for create_time in [json!(0), json!(-5), json!("soon"), json!(1.5)] {
            assert_eq!(line(json!("1"), create_time).created_at, None);
        }
        let account = only(List::OnlineAccounts, json!({"account_id":1,"server":"online"}), OnlineAccount::read);
        assert_eq!((account.account_id.as_deref(), account.server.as_deref()), (Some("1"), Some("online")));
    }

    #[test]
    fn the_number_of_a_link_that_is_not_finished_is_not_read() {
        for (status, whatsapp) in [
            (json!(1), Some("972571234567")),
            (json!("1"), Some("972571234567")),
            (json!(0), None),
            (json!("0"), None),
            (json!(2), None),
            (json!(null), None),
        ] {
            let element = json!({"status":status,"whatsapp":"972571234567","coexistence":1,"reference":"r"});
            let link = only(List::OnboardingLinks, element, OnboardingLink::read);
            assert_eq!(link.whatsapp.as_deref(), whatsapp, "{status}");
            assert!(whatsapp.is_some() || !format!("{link:?} {:?}", link.other.0).contains("97257"));
        }
        let link = only(List::OnboardingLinks, json!({"whatsapp":"972571234567"}), OnboardingLink::read);
        assert_eq!((link.whatsapp, link.is_finished), (None, None));
    }

    #[test]
    fn the_other_lists_are_read_by_their_documented_fields() {
        let number = only(
            List::RegisteredNumbers,
            json!({"whatsapp":"972501234567","expiration":1739874663,"onboarding_link":null,"comment":"…"}),
            RegisteredNumber::read,
        );
        assert_eq!((number.whatsapp.as_deref(), number.expires_at), (Some("972501234567"), at(1_739_874_663)));
        let store = only(
            List::Stores,
            json!({"whatsapp":"972501234567","business_name":"Shop","token":"abc123","reference":"r","status":1,
                "site_url":"https://shop.example","created_at":"1699999999"}),
            Store::read,
        );
        assert_eq!((store.created_at, store.is_finished), (at(1_699_999_999), Some(true)));
        assert!(store.token.is_some() && !format!("{store:?}").contains("abc123"));
        let account = only(
            List::OnlineAccounts,
            json!({"create_time":1735811185,"account_name":"A","account_id":"1","server":"online","account_status":"suspended","reference":"12345"}),
            OnlineAccount::read,
        );
        assert_eq!(
            (account.account_status.as_deref(), account.reference.as_deref()),
            (Some("suspended"), Some("12345"))
        );
        let builder = only(
            List::Builders,
            json!({"create_time":1735811185,"client":"My Client A","builderID":"1","url":"https://builder4.99digital.co.il/"}),
            Builder::read,
        );
        assert_eq!((builder.builder_id.as_deref(), builder.reference), (Some("1"), None));
        assert_eq!(builder.url.as_deref(), Some("https://builder4.99digital.co.il/"));
    }
}
