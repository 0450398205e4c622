use std::ops::Range;

use shared::{
    PLACEHOLDER,
    json::{TokenKind, tokens},
};

/// Returns a stored body without the members and elements whose value is or contains a sealed one. A consumer that stores
/// the body must not take the placeholder for a key. All other bytes are kept.
pub fn without_sealed(body: &str) -> String {
    let mut removed: Vec<Range<usize>> = Vec::new();
    // The last kept comma, in each object and array around the place.
    let mut commas: Vec<Option<usize>> = Vec::new();
    let mut member_start = None;
    let mut tokens = tokens(body).peekable();
    while let Some(token) = tokens.next() {
        match token.kind {
            TokenKind::Open => {
                member_start = None;
                commas.push(None);
            }
            TokenKind::Close => {
                commas.pop();
            }
            TokenKind::Comma => {
                if let Some(comma) = commas.last_mut() {
                    *comma = Some(token.span.start);
                }
            }
            TokenKind::Name => member_start = Some(token.span.start),
            TokenKind::Colon => {}
            TokenKind::Text | TokenKind::Literal => {
                let start = member_start.take().unwrap_or(token.span.start);
                if !body[token.span.clone()].contains(PLACEHOLDER) {
                    continue;
                }
                // One of the two adjacent commas is removed too: the one after it, or for the last value the one before.
                let range = match tokens.next_if(|next| next.kind == TokenKind::Comma) {
                    Some(comma) => start..tokens.peek().map_or(comma.span.end, |next| next.span.start),
                    None => commas.last_mut().and_then(Option::take).unwrap_or(start)..token.span.end,
                };
                removed.retain(|earlier| earlier.start < range.start);
                removed.push(range);
            }
        }
    }
    let mut kept = String::with_capacity(body.len());
    let mut from = 0;
    for range in removed {
        kept.push_str(&body[from..range.start]);
        from = range.end;
    }
    kept.push_str(&body[from..]);
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn sealed_members_are_left_out_and_every_other_byte_stays() {
        for (body, kept) in [
            (r#"{"a":1,"key":"[sealed]","b": 2}"#, r#"{"a":1,"b": 2}"#),
            (r#"{"key":"[sealed]", "b":2.50}"#, r#"{"b":2.50}"#),
            (r#"{"a":1 , "key":"[sealed]" }"#, r#"{"a":1  }"#),
            (r#"{"key":"[sealed]"}"#, "{}"),
            (r#"{"a":1,"k1":"[sealed]","k2":"[sealed]"}"#, r#"{"a":1}"#),
            (r#"{"a":["[sealed]",1,"[sealed]","[sealed]"],"b":{}}"#, r#"{"a":[1],"b":{}}"#),
            (r#"{"url":"https://a.example/?token=[sealed]","b":[{"key":"[sealed]"}]}"#, r#"{"b":[{}]}"#),
            (r#"{"[sealed]":"name","a":"sealed"}"#, r#"{"[sealed]":"name","a":"sealed"}"#),
            (r#"{"event":"whatsapp","whatsapp_extra_info":2}"#, r#"{"event":"whatsapp","whatsapp_extra_info":2}"#),
        ] {
            assert_eq!(without_sealed(body), kept);
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!("[sealed]")),
            Just(json!("a \"[sealed]\" part")),
            any::<i32>().prop_map(Value::from),
            ".{0,4}".prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map(".{0,3}", inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Returns the same result, computed on values.
    fn pruned(value: &Value) -> Option<Value> {
        match value {
            Value::String(text) if text.contains(PLACEHOLDER) => None,
            Value::Array(elements) => Some(elements.iter().filter_map(pruned).collect()),
            Value::Object(members) => {
                let kept = members.iter().filter_map(|(name, value)| Some((name.clone(), pruned(value)?)));
                Some(Value::Object(kept.collect()))
            }
            other => Some(other.clone()),
        }
    }

    proptest! {
        #[test]
        fn the_result_is_the_json_without_its_sealed_values(
            members in proptest::collection::btree_map("[a-c]{0,2}", any_json(), 0..5),
            is_spaced in any::<bool>(),
        ) {
            let body = Value::Object(members.into_iter().collect());
            let text = if is_spaced { serde_json::to_string_pretty(&body) } else { serde_json::to_string(&body) }.unwrap();
            let left: Value = serde_json::from_str(&without_sealed(&text)).unwrap();
            prop_assert_eq!(Some(left), pruned(&body));
        }
    }
}
