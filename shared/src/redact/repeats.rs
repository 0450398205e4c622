//! Finds the secrets of a body where they are repeated.

use std::collections::HashSet;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// Minimum length of a secret that is looked for inside other values, in characters. A shorter one would be found by chance.
const MIN_INSIDE: usize = 8;

/// Minimum length of a secret of digits that is looked for at all. Flags and counts are shorter.
const MIN_DIGITS: usize = 4;

/// The secrets of a body, as they are collected.
#[derive(Default)]
pub(crate) struct Secrets(HashSet<String>);

impl Secrets {
    /// Adds the text of a secret.
    pub(crate) fn add(&mut self, text: &str) {
        let text = text.trim();
        let is_count = text.len() < MIN_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_count && !self.0.contains(text) {
            self.0.insert(text.to_owned());
        }
    }

    /// Prepares the search. However many secrets there are, it then reads each value once.
    pub(crate) fn search(self) -> Search {
        let long: Vec<&String> = self.0.iter().filter(|secret| secret.chars().nth(MIN_INSIDE - 1).is_some()).collect();
        // The automaton that is built quickest: it reads one body.
        let mut builder = AhoCorasick::builder();
        builder.kind(Some(AhoCorasickKind::NoncontiguousNFA)).prefilter(false);
        // Fails only with more secrets than a body has bytes.
        let inside = if long.is_empty() { None } else { builder.build(long).ok() };
        Search { whole: self.0, inside }
    }
}

/// The secrets of a body, to be found in its values.
pub(crate) struct Search {
    whole: HashSet<String>,
    inside: Option<AhoCorasick>,
}

impl Search {
    /// Whether a value is a secret.
    pub(crate) fn is_secret(&self, value: &str) -> bool {
        !self.whole.is_empty() && self.whole.contains(value.trim())
    }

    /// Whether a value is a secret, or contains one of 8 or more characters.
    pub(crate) fn finds(&self, value: &str) -> bool {
        self.is_secret(value) || self.inside.as_ref().is_some_and(|inside| inside.is_match(value))
    }
}
