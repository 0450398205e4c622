//! Finds the secrets of a body where they are repeated.

use std::{
    borrow::Cow,
    cell::{Cell, OnceCell},
    collections::{HashMap, HashSet},
    ops::Range,
};

/// Minimum length of a secret that is searched for inside other values, in characters. A shorter one would match by chance.
const MIN_INSIDE: usize = 8;

/// Minimum length of a secret of digits, in characters, to be searched for at all. Flags and counts are shorter.
const MIN_DIGITS: usize = 4;

/// Number of bytes by which a secret is recognised before it is compared; every secret searched for has at least as many.
const WINDOW: usize = MIN_INSIDE;

/// Maximum work for the comparisons in one body. Tens of thousands of secrets in 256 KB stay within it; a few long secrets
/// that differ only at their end, met by a text that resembles them all, do not.
const MAX_WORK: usize = 4_000_000;

/// The secrets of a body.
#[derive(Default)]
pub(crate) struct Secrets<'a> {
    whole: HashSet<Cow<'a, str>>,
    inside: OnceCell<Windows>,
}

impl<'a> Secrets<'a> {
    /// Adds the text of a secret.
    pub(crate) fn add(&mut self, text: Cow<'a, str>) {
        let text = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        let digits = text.strip_prefix('-').unwrap_or(&text);
        let is_count = digits.len() < MIN_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_count {
            self.whole.insert(text);
        }
    }

    /// Returns whether a value is a secret.
    pub(crate) fn has(&self, value: &str) -> bool {
        !self.whole.is_empty() && self.whole.contains(value.trim())
    }

    /// Returns whether a value contains a secret of 8 or more characters.
    pub(crate) fn are_in(&self, value: &str) -> bool {
        value.len() >= WINDOW && self.inside.get_or_init(|| Windows::of(&self.whole)).are_in(value.as_bytes())
    }
}

/// The secrets by their first 8 bytes. A value is read once for any number of secrets, and one table lookup rules out most
/// positions. An automaton of all secrets (the aho-corasick crate) took about 30 ms of CPU to build for 256 KB of secrets;
/// decoding such a body takes about 3 ms.
struct Windows {
    /// Sorted. None begins with another: a value that contains the longer one also contains the shorter.
    secrets: Vec<Vec<u8>>,
    /// The range in `secrets` that begins with a window.
    by_window: HashMap<[u8; WINDOW], Range<usize>>,
    /// One bit for each hash of a window.
    filter: Box<[u64; 1 << (FILTER_BITS - 6)]>,
    work: Cell<usize>,
}

const FILTER_BITS: u32 = 16;

impl Windows {
    fn of(secrets: &HashSet<Cow<'_, str>>) -> Self {
        let long = secrets.iter().filter(|secret| secret.chars().nth(MIN_INSIDE - 1).is_some());
        let mut sorted: Vec<&[u8]> = long.map(|secret| secret.as_bytes()).collect();
        sorted.sort_unstable();
        let mut windows = Self {
            secrets: Vec::new(),
            by_window: HashMap::new(),
            filter: Box::new([0; 1 << (FILTER_BITS - 6)]),
            work: Cell::new(0),
        };
        for secret in sorted {
            let Some(window) = secret.first_chunk::<WINDOW>() else { continue };
            if windows.secrets.last().is_some_and(|last| secret.starts_with(last)) {
                continue;
            }
            let place = windows.secrets.len();
            windows.by_window.entry(*window).or_insert(place..place).end = place + 1;
            let (word, bit) = Self::place(window);
            windows.filter[word] |= bit;
            windows.secrets.push(secret.to_owned());
        }
        windows
    }

    fn are_in(&self, value: &[u8]) -> bool {
        !self.secrets.is_empty()
            && value.windows(WINDOW).enumerate().any(|(at, window)| {
                let Ok(window) = <&[u8; WINDOW]>::try_from(window) else { return false };
                let (word, bit) = Self::place(window);
                self.filter[word] & bit != 0 && self.begins_with_one(&value[at..], window)
            })
    }

    /// Returns whether a text that begins with a window begins with a secret. None of the secrets begins with another, so
    /// the only candidate is the last one that does not sort after the text.
    fn begins_with_one(&self, text: &[u8], window: &[u8; WINDOW]) -> bool {
        let Some(range) = self.by_window.get(window) else { return false };
        let candidates = &self.secrets[range.clone()];
        let next = candidates.partition_point(|secret| {
            self.work.set(self.work.get() + WINDOW + secret.len().min(text.len()) / WINDOW);
            secret.as_slice() <= text
        });
        // Beyond the maximum work, a text that begins like a secret counts as one.
        self.work.get() > MAX_WORK
            || next.checked_sub(1).and_then(|last| candidates.get(last)).is_some_and(|secret| text.starts_with(secret))
    }

    /// Returns the position of a window in the filter.
    fn place(window: &[u8; WINDOW]) -> (usize, u64) {
        // Multiplicative hashing: the highest bits depend on all bytes.
        let hash = u64::from_le_bytes(*window).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - FILTER_BITS);
        ((hash >> 6) as usize, 1 << (hash & 63))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secrets(texts: &[&'static str]) -> Secrets<'static> {
        let mut secrets = Secrets::default();
        texts.iter().for_each(|text| secrets.add(Cow::Borrowed(text)));
        secrets
    }

    #[test]
    fn a_secret_is_found_as_a_whole_and_from_8_characters_on_inside() {
        let secrets = secrets(&[" 1234567 ", "abcdefgh", "abcdefghi", "abcdefgZ-longer", "éééé", "12", "-12", "k"]);
        for value in ["1234567", "\t1234567", "éééé", "k", "abcdefghi"] {
            assert!(secrets.has(value), "{value}");
        }
        for value in ["12345678", "12", "-12", "x", ""] {
            assert!(!secrets.has(value), "{value}");
        }
        for value in ["abcdefgh", "xabcdefghi", "abcdefgabcdefgZ-longer.", "abcdefgabcdefgh"] {
            assert!(secrets.are_in(value), "{value}");
        }
        for value in ["abcdefg", "12345678", "abcdefgZ-long", "éééé", "éééééééé", ""] {
            assert!(!secrets.are_in(value), "{value}");
        }
    }

    #[test]
    fn a_search_that_would_take_too_long_finds_too_much_and_not_too_little() {
        let mut secrets = Secrets::default();
        for length in 100..600 {
            secrets.add(format!("{}b", "a".repeat(length)).into());
        }
        let text = "a".repeat(100_000);
        assert!(secrets.are_in(&text));
        assert!(!secrets.are_in(&text.replace('a', "c")));
    }

    proptest! {
        #[test]
        fn repeats_are_found_as_by_a_plain_search(texts in prop::collection::vec("[ab]{1,12}|[aé]{8,10}", 0..20), value in "[ab]{0,40}|[aé]{0,20}") {
            let mut secrets = Secrets::default();
            texts.iter().for_each(|text| secrets.add(Cow::Borrowed(text)));
            let long = |text: &&String| text.chars().count() >= 8;
            prop_assert_eq!(secrets.are_in(&value), texts.iter().filter(long).any(|text| value.contains(text.as_str())));
            prop_assert_eq!(secrets.has(&value), texts.contains(&value));
        }
    }
}
