use std::fmt;

use shared::{InvalidWebhookUrl, WebhookUrl};
use thiserror::Error;

const WHATSAPP: &str = "{whatsapp}";
const REFERENCE: &str = "{reference}";

/// The URL to register for each line, with placeholders for the line's number and the partner's reference.
#[derive(Clone)]
pub(crate) struct LineUrlTemplate(String);

/// The reason why a text is not a [`LineUrlTemplate`]. It does not include the text, which may contain a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidTemplate {
    #[error("{0}")]
    Url(#[from] InvalidWebhookUrl),
    #[error("has a placeholder other than {WHATSAPP} and {REFERENCE}, or a single brace")]
    UnknownPlaceholder,
    #[error("has a placeholder in its host; only the path and the query may have one")]
    PlaceholderInHost,
}

/// The reason why a line has no URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum NoLineUrl {
    #[error("LINE_WEBHOOK_URL needs the partner's reference, and the line has none")]
    NoReference,
    #[error("LINE_WEBHOOK_URL needs the partner's reference, and \".\" or \"..\" in a path leads elsewhere")]
    DotReference,
    #[error("with the line's number and reference LINE_WEBHOOK_URL is {0}")]
    Invalid(InvalidWebhookUrl),
}

impl LineUrlTemplate {
    /// Parses a template. With a number and a short reference it must be a URL that can be registered.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        let rest = text.replace(WHATSAPP, "").replace(REFERENCE, "");
        if rest.contains(['{', '}']) {
            return Err(InvalidTemplate::UnknownPlaceholder);
        }
        let host = text.split_once("://").map_or(text, |(_, rest)| rest).split(['/', '?', '#']).next();
        if host.is_some_and(|host| host.contains('{')) {
            return Err(InvalidTemplate::PlaceholderInHost);
        }
        WebhookUrl::parse(&filled(text, "972501234567", "1"))?;
        Ok(Self(text.to_owned()))
    }

    /// Returns the URL of a line.
    pub(crate) fn url(&self, number: &str, reference: Option<&str>) -> Result<WebhookUrl, NoLineUrl> {
        let needed = self.0.contains(REFERENCE);
        let reference = match reference {
            None if needed => return Err(NoLineUrl::NoReference),
            Some("." | "..") if needed => return Err(NoLineUrl::DotReference),
            reference => reference.unwrap_or_default(),
        };
        WebhookUrl::parse(&filled(&self.0, number, reference)).map_err(NoLineUrl::Invalid)
    }
}

fn filled(template: &str, number: &str, reference: &str) -> String {
    // The reference comes last and is encoded, so it cannot add a placeholder.
    template.replace(WHATSAPP, &encoded(number)).replace(REFERENCE, &encoded(reference))
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

impl fmt::Debug for LineUrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LineUrlTemplate")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(template: &str, reference: Option<&str>) -> Result<String, NoLineUrl> {
        LineUrlTemplate::parse(template).unwrap().url("972501234567", reference).map(|url| url.expose().to_owned())
    }

    #[test]
    fn placeholders_become_the_number_and_the_encoded_reference() {
        let template = "https://example.com/{whatsapp}/in?client={reference}&again={reference}";
        assert_eq!(
            url(template, Some("a b/c?d&e=#{whatsapp}%é")).unwrap(),
            "https://example.com/972501234567/in?client=a%20b%2Fc%3Fd%26e%3D%23%7Bwhatsapp%7D%25%C3%A9\
             &again=a%20b%2Fc%3Fd%26e%3D%23%7Bwhatsapp%7D%25%C3%A9"
        );
        assert_eq!(url("https://example.com/in", None).unwrap(), "https://example.com/in");
        assert_eq!(url("http://127.0.0.1:9000/{whatsapp}", None).unwrap(), "http://127.0.0.1:9000/972501234567");
    }

    #[test]
    fn a_line_whose_url_cannot_be_built_has_none() {
        let template = "https://example.com/{reference}";
        assert_eq!(url(template, None), Err(NoLineUrl::NoReference));
        assert_eq!(url(template, Some("..")), Err(NoLineUrl::DotReference));
        let long = url(template, Some(&"x".repeat(500)));
        assert_eq!(long, Err(NoLineUrl::Invalid(InvalidWebhookUrl::TooLong)));
        assert_eq!(url("https://example.com/in", Some("..")).unwrap(), "https://example.com/in");
    }

    #[test]
    fn a_bad_template_is_refused_without_being_shown() {
        for (text, fault) in [
            ("http://example.com/secret", InvalidTemplate::Url(InvalidWebhookUrl::NotHttps)),
            ("secret", InvalidTemplate::Url(InvalidWebhookUrl::NotAUrl)),
            ("https://u:secret@example.com/", InvalidTemplate::Url(InvalidWebhookUrl::HasCredentials)),
            ("https://example.com/#secret", InvalidTemplate::Url(InvalidWebhookUrl::HasFragment)),
            ("https://example.com/{number}", InvalidTemplate::UnknownPlaceholder),
            ("https://example.com/{whatsapp", InvalidTemplate::UnknownPlaceholder),
            ("https://example.com/{{whatsapp}}", InvalidTemplate::UnknownPlaceholder),
            ("https://{reference}.example.com/", InvalidTemplate::PlaceholderInHost),
            ("https://{whatsapp}@example.com/", InvalidTemplate::PlaceholderInHost),
        ] {
            let error = LineUrlTemplate::parse(text).unwrap_err();
            assert_eq!(error, fault, "{text}");
            assert!(!format!("{error} {error:?}").contains("secret"));
        }
        let long = format!("https://example.com/{}", "x".repeat(500));
        assert_eq!(LineUrlTemplate::parse(&long).unwrap_err(), InvalidTemplate::Url(InvalidWebhookUrl::TooLong));
    }
}
