//! Lists, times and words as all pages show them.

use std::time::{Duration, SystemTime};

use shared::{
    Kind, Timestamp,
    human_time::{ago, to_the_second},
};

use super::problem::Problem;

/// Rows per page.
pub const PAGE: u16 = 50;

/// The kind of quarantined deliveries.
pub const QUARANTINE: &str = "quarantine";

/// The kind of events that name none.
pub const UNNAMED: &str = "unnamed";

/// A page of a list that is read whole.
#[derive(Clone, Copy)]
pub struct Place {
    /// From 1.
    page: usize,
}

impl Place {
    /// Reads the number of the page. Without one it is the first.
    ///
    /// # Errors
    /// Fails when it is no number.
    pub fn read(page: &str) -> Result<Self, Problem> {
        let page = match page.trim() {
            "" => Some(1),
            page => page.parse().ok().filter(|page| *page > 0),
        };
        Ok(Self { page: page.ok_or_else(Problem::wrong_place)? })
    }

    /// Returns the items of the page.
    pub fn of<T>(self, items: &[T]) -> &[T] {
        let size = usize::from(PAGE);
        let start = (self.page - 1).saturating_mul(size).min(items.len());
        &items[start..start.saturating_add(size).min(items.len())]
    }

    pub fn is_first(self) -> bool {
        self.page == 1
    }

    /// Returns the number of the next page of this many items, if there is one.
    pub fn next(self, items: usize) -> Option<String> {
        (self.page.saturating_mul(PAGE.into()) < items).then(|| (self.page + 1).to_string())
    }

    /// Describes the extent of the page, such as "1 to 50 of 312 lines", where `all` is the number with its noun.
    pub fn extent(self, items: usize, all: String) -> String {
        let end = self.page.saturating_mul(PAGE.into());
        let start = end - usize::from(PAGE);
        if items <= end && self.is_first() || items <= start {
            all
        } else {
            format!("{} to {} of {all}", start + 1, end.min(items))
        }
    }
}

/// A time as the pages show it, in UTC.
pub struct Moment {
    /// In full, to the microsecond.
    pub exact: String,
    /// To the second.
    pub second: String,
    /// `11-22`
    pub day: String,
    /// `09:30:00`
    pub clock: String,
    /// `.123`
    pub millis: String,
    /// `11-22 09:30`
    pub minute: String,
    pub ago: String,
}

impl Moment {
    /// Writes a time, and its distance from now.
    pub fn new(time: Timestamp, now: Timestamp) -> Self {
        let exact = time.to_string();
        let (day, clock, millis) = (exact[5..10].to_owned(), exact[11..19].to_owned(), exact[19..23].to_owned());
        let minute = format!("{day} {}", &clock[..5]);
        Self { second: to_the_second(time), day, clock, millis, minute, ago: ago(time, now), exact }
    }
}

/// Writes a number with its noun, given in the singular and in the plural.
pub fn number_of(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// Writes a number of deliveries.
pub fn deliveries(number: usize) -> String {
    number_of(number, "delivery", "deliveries")
}

/// Writes a duration, rounded to seconds or more.
pub fn roughly(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => "under 1 s".to_owned(),
        1..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Returns the error of a typed name as a sentence.
pub fn sentence(why: &str) -> String {
    let why = why.strip_prefix("there").map_or_else(|| why.to_owned(), |rest| format!("There{rest}"));
    let end = if why.ends_with('?') { "" } else { "." };
    why + end
}

/// Returns a relative link with its query; empty fields are left out.
pub fn link(page: &str, query: &[(&str, &str)]) -> String {
    let mut written = url::form_urlencoded::Serializer::new(String::new());
    written.extend_pairs(query.iter().filter(|(_, value)| !value.is_empty()));
    match written.finish().as_str() {
        "" => page.to_owned(),
        query => format!("{page}?{query}"),
    }
}

/// Returns the style class of a kind.
pub fn kind_class(kind: &str) -> &'static str {
    Kind::NAMES.into_iter().chain([QUARANTINE, UNNAMED]).find(|name| *name == kind).unwrap_or("other")
}

/// Returns the present time.
pub fn now() -> Timestamp {
    SystemTime::now().into()
}
