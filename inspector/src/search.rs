//! A text that is searched for among entities.

use shared::Entity;
use store::named;

/// A part of a number, a name or a reference.
pub struct Searched {
    /// In lower case.
    text: String,
    /// The digits of a number, in every form that it can have in an entity.
    numbers: Vec<String>,
}

impl Searched {
    /// The text as typed. Numbers may be written in any usual form.
    pub fn new(typed: &str) -> Self {
        Self { text: typed.trim().to_lowercase(), numbers: named::numbers(typed) }
    }

    /// Returns whether an entity, or one of its other names, contains the text.
    pub fn is_in(&self, entity: &Entity, others: [Option<&str>; 2]) -> bool {
        let entity = entity.as_str();
        others.into_iter().flatten().chain([entity]).any(|name| name.to_lowercase().contains(&self.text))
            || self.numbers.iter().any(|number| entity.contains(number.as_str()))
    }
}
