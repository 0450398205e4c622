//! A text to search for, as people type or copy it.

use shared::{
    json::{tokens, unquote},
    text::plain,
};

use crate::delivery::StoredDelivery;

/// A text to search for, in upper or lower case.
///
/// It may be copied from a page or a table: `…` then stands for the part that was left out, and an escape for its invisible character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchedText {
    /// The parts between the `…`, in lower case.
    parts: Vec<String>,
}

impl SearchedText {
    /// Reads the text. Spaces around it are ignored.
    pub fn new(text: &str) -> Self {
        let parts = text.split('…').map(|part| part.trim().to_lowercase()).filter(|part| !part.is_empty());
        Self { parts: parts.collect() }
    }

    /// Returns whether the body, the id, the entity or another fact of a delivery contains it.
    pub fn is_in(&self, delivery: &StoredDelivery) -> bool {
        let body = delivery.body.as_deref().unwrap_or_default();
        let places = [
            Some(delivery.entity.as_str()),
            delivery.reference.as_deref(),
            delivery.cause.as_deref(),
            Some(&delivery.request_id),
            Some(&delivery.source_ip),
            Some(body),
        ];
        // Behind escapes such as `\u05e9` and `https:\/\/`.
        let unescaped = tokens(body).filter_map(|token| unquote(&body[token.span]));
        self.is_part_of(&delivery.id.to_string())
            || places.into_iter().flatten().any(|place| self.is_part_of(place))
            || (body.contains('\\') && unescaped.into_iter().any(|text| self.is_part_of(&text)))
    }

    /// Returns whether a text contains all parts in this order.
    fn is_part_of(&self, place: &str) -> bool {
        let contains = |text: &str| {
            let mut rest = text;
            self.parts.iter().all(|part| {
                let Some((_, after)) = rest.split_once(part.as_str()) else { return false };
                rest = after;
                true
            })
        };
        let (place, shown) = (place.to_lowercase(), plain(place).to_lowercase());
        contains(&place) || (shown != place && contains(&shown))
    }
}
