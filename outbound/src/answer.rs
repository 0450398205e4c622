//! Judges an endpoint's answers.

use std::time::Duration;

use shared::Timestamp;

/// The outcome of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A 2xx: the endpoint has the event.
    Taken,
    /// Any other answer, or none.
    Refused(Refusal),
}

/// The reason why an endpoint has not accepted an event.
///
/// `Display` is one line without control characters, and without the parts of the endpoint's URL that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    cause: Cause,
    retry_after: Option<Duration>,
    detail: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Cause {
    Status(u16),
    NoAnswer(String),
}

impl Answer {
    /// Judges a status and the header `Retry-After`, in seconds or as an HTTP date.
    pub fn of(status: u16, retry_after: Option<&str>, now: Timestamp) -> Self {
        if (200..300).contains(&status) {
            return Self::Taken;
        }
        let retry_after = retry_after.and_then(|text| wait(text.trim(), now));
        Self::Refused(Refusal { cause: Cause::Status(status), retry_after, detail: String::new() })
    }
}

impl Refusal {
    /// Creates the refusal of an attempt that ended without an answer.
    pub fn no_answer(cause: impl Into<String>) -> Self {
        Self { cause: Cause::NoAnswer(cause.into()), retry_after: None, detail: String::new() }
    }

    /// Adds the start of the answer's body.
    #[must_use]
    pub(crate) fn with_detail(mut self, detail: String) -> Self {
        self.detail = detail;
        self
    }

    /// Drops the start of the answer's body, which may repeat what was sent.
    #[must_use]
    pub fn without_detail(mut self) -> Self {
        self.detail = String::new();
        self
    }

    /// Returns the HTTP status; `None` when there was no answer.
    pub fn status(&self) -> Option<u16> {
        match self.cause {
            Cause::Status(status) => Some(status),
            Cause::NoAnswer(_) => None,
        }
    }

    /// Returns the wait that the endpoint requests.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns whether the endpoint refuses this event itself (a 4xx that is not about time or load).
    pub fn is_final(&self) -> bool {
        self.status().is_some_and(|status| (400..500).contains(&status) && !matches!(status, 408 | 425 | 429))
    }

    /// Returns whether the endpoint is gone for good (410).
    pub fn is_gone(&self) -> bool {
        self.status() == Some(410)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.cause {
            Cause::NoAnswer(cause) => write!(f, "no answer: {cause}")?,
            Cause::Status(status) => write!(f, "{status}")?,
        }
        if self.status().is_some_and(|status| (300..400).contains(&status)) {
            f.write_str("; redirects are not followed")?;
        }
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

/// Reads `Retry-After` (RFC 9110, section 10.2.3).
fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number too large to read requests more than our maximum wait.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX / 2)));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(Timestamp::from(at).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-25T10:00:00.000000Z".parse().unwrap()
    }

    #[test]
    fn only_a_2xx_takes_an_event() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(Answer::of(status, None, now()), Answer::Taken, "{status}");
        }
        for status in [100, 199, 300, 301, 304, 307, 400, 404, 410, 429, 500, 503, 600] {
            assert!(matches!(Answer::of(status, None, now()), Answer::Refused(_)), "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let asked = |text| match Answer::of(503, Some(text), now()) {
            Answer::Refused(refusal) => refusal.retry_after(),
            Answer::Taken => None,
        };
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(asked(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(asked("Wed, 25 Nov 2026 10:02:00 GMT"), Some(Duration::from_secs(120)));
        assert_eq!(asked("Wed, 25 Nov 2026 09:00:00 GMT"), Some(Duration::ZERO));
        assert!(asked("99999999999999999999999").unwrap() > Duration::from_secs(1_000_000));
        for text in ["", "-5", "1.5", "soon", "2026-11-25T10:02:00Z"] {
            assert_eq!(asked(text), None, "{text}");
        }
    }

    #[test]
    fn a_4xx_refuses_the_event_unless_it_speaks_of_time_or_load() {
        let refusal = |status| match Answer::of(status, None, now()) {
            Answer::Refused(refusal) => refusal,
            Answer::Taken => panic!(),
        };
        let is_final: Vec<u16> = (300..600).filter(|status| refusal(*status).is_final()).collect();
        let expected: Vec<u16> = (400..500).filter(|status| ![408, 425, 429].contains(status)).collect();
        assert_eq!(is_final, expected);
        assert!(!Refusal::no_answer("timed out").is_final());
    }
}
