//! The answers to the calls of the lists, correct and faulty.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Call, Fault};

/// The calls of the lists, by their path below the API's base URL.
pub(super) const PATHS: [(&str, Call); 6] = [
    ("whatsapp/getWhatsApp", Call::Lines),
    ("whatsapp/getAccounts", Call::OnboardingLinks),
    ("whatsapp/getRegisteredNumbers", Call::RegisteredNumbers),
    ("whatsapp/getStores", Call::Stores),
    ("online/getAccounts", Call::OnlineAccounts),
    ("builder/getBuilders", Call::Builders),
];

/// Returns the member of a list's answer that has the number of elements, if the provider documents one.
fn total(call: Call) -> Option<&'static str> {
    match call {
        Call::Lines => Some("totalWhatsApp"),
        Call::Stores => Some("totalStores"),
        Call::OnlineAccounts => Some("totalOnline"),
        Call::Builders => Some("totalBuilders"),
        _ => None,
    }
}

/// Returns the correct answer to the call of a list.
pub(super) fn answer(lists: &HashMap<Call, Vec<Value>>, call: Call) -> Value {
    let elements = lists.get(&call).cloned().unwrap_or_default();
    let mut answer = json!({ "status": "OK", "reason": 1 });
    if let Some(total) = total(call) {
        answer[total] = elements.len().into();
    }
    answer["list"] = elements.into();
    answer
}

/// Returns the answer to the call of a list with one of the faults that only lists have.
pub(super) fn faulty(lists: &HashMap<Call, Vec<Value>>, call: Call, fault: &Fault) -> String {
    let mut answer = answer(lists, call);
    match fault {
        Fault::CutOff => {
            let text = answer.to_string();
            text.chars().take(text.chars().count() / 2).collect()
        }
        Fault::MissingComma => answer.to_string().replacen(',', " ", 1),
        _ => {
            if let (Some(_), Some(elements)) = (total(call), answer["list"].as_array_mut()) {
                elements.pop();
            }
            answer.to_string()
        }
    }
}
