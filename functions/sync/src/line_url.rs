use std::fmt;

use shared::{ForbiddenDestination, InvalidWebhookUrl, WebhookUrl, check_destination};
use thiserror::Error;
use url::Url;

const WHATSAPP: &str = "{whatsapp}";
const REFERENCE: &str = "{reference}";
/// Shown in place of what may be a secret.
const MASK: &str = "***";

/// The URL to register for each line, with placeholders for the line's number and the partner's reference.
#[derive(Clone)]
pub(crate) struct LineUrlTemplate(String);

/// The URL of a line. `Display` shows its origin, and of its path and query the line's number, the reference and the names of
/// parameters: every other part may be a secret.
#[derive(Clone)]
pub(crate) struct LineUrl {
    url: WebhookUrl,
    shown: String,
}

/// The reason why a text is not a [`LineUrlTemplate`]. Of the text, which may contain a secret, it includes at most the host.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidTemplate {
    #[error("{0}")]
    Url(#[from] InvalidWebhookUrl),
    #[error("has a placeholder other than {WHATSAPP} and {REFERENCE}, or a single brace")]
    UnknownPlaceholder,
    #[error("has a placeholder in its host; only the path and the query may have one")]
    PlaceholderInHost,
    #[error("{0}; give the URL of your own endpoint")]
    Forbidden(#[from] ForbiddenDestination),
}

/// The reason why a line has no URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum NoLineUrl {
    #[error("LINE_WEBHOOK_URL needs the partner's reference, and the line has none")]
    NoReference,
    #[error(
        "LINE_WEBHOOK_URL needs the partner's reference, and no event has brought one since the line's API key has changed; the \
         reference from before may be a former client's"
    )]
    EarlierReference,
    #[error("LINE_WEBHOOK_URL needs the partner's reference, and \".\" or \"..\" in a path leads elsewhere")]
    DotReference,
    #[error("with the line's number and reference LINE_WEBHOOK_URL is {0}")]
    Invalid(InvalidWebhookUrl),
}

impl LineUrlTemplate {
    /// Parses a template. With a number and a short reference it must be a URL that can be registered, and that leads neither to the
    /// provider nor to our own webhook.
    pub(crate) fn parse(text: &str, provider: &[&Url], webhook: &Url) -> Result<Self, InvalidTemplate> {
        let rest = text.replace(WHATSAPP, "").replace(REFERENCE, "");
        if rest.contains(['{', '}']) {
            return Err(InvalidTemplate::UnknownPlaceholder);
        }
        let host = text.split_once("://").map_or(text, |(_, rest)| rest).split(['/', '?', '#']).next();
        if host.is_some_and(|host| host.contains('{')) {
            return Err(InvalidTemplate::PlaceholderInHost);
        }
        let url = WebhookUrl::parse(&filled(text, "972501234567", "1"))?;
        check_destination(url.url(), provider, Some(webhook))?;
        Ok(Self(text.to_owned()))
    }

    /// Returns whether the URL of a line contains the partner's reference.
    pub(crate) fn needs_reference(&self) -> bool {
        self.0.contains(REFERENCE)
    }

    /// Returns the URL of a line.
    pub(crate) fn url(&self, number: &str, reference: Option<&str>) -> Result<LineUrl, NoLineUrl> {
        let needed = self.needs_reference();
        let reference = match reference {
            None if needed => return Err(NoLineUrl::NoReference),
            Some("." | "..") if needed => return Err(NoLineUrl::DotReference),
            reference => reference.unwrap_or_default(),
        };
        let url = WebhookUrl::parse(&filled(&self.0, number, reference)).map_err(NoLineUrl::Invalid)?;
        Ok(LineUrl { url, shown: filled(&self.masked(), number, reference) })
    }

    /// Returns the template with `***` in place of what may be a secret.
    fn masked(&self) -> String {
        let start = self.0.find("://").map_or(0, |at| at + "://".len());
        let end = self.0[start..].find(['/', '?']).map_or(self.0.len(), |at| start + at);
        let (origin, rest) = self.0.split_at(end);
        let origin = WebhookUrl::parse(origin).map_or_else(|_| MASK.to_owned(), |origin| origin.to_string());
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let path: Vec<String> = path.split('/').map(masked).collect();
        let parameter = |parameter: &str| match parameter.split_once('=') {
            Some((name, value)) => format!("{name}={}", masked(value)),
            None => masked(parameter),
        };
        let query = query.map(|query| query.split('&').map(parameter).collect::<Vec<String>>().join("&"));
        origin + &path.join("/") + &query.map(|query| format!("?{query}")).unwrap_or_default()
    }
}

/// Returns a part of a template with `***` in place of everything but placeholders.
fn masked(part: &str) -> String {
    let literal = |text: &str| if text.is_empty() { "" } else { MASK };
    let mut pieces = part.split('{');
    let mut shown = literal(pieces.next().unwrap_or_default()).to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once('}').unwrap_or((piece, ""));
        shown += &format!("{{{name}}}{}", literal(rest));
    }
    shown
}

impl LineUrl {
    /// Returns the whole URL, to compare it and to set it.
    pub(crate) fn url(&self) -> &WebhookUrl {
        &self.url
    }
}

impl fmt::Display for LineUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for LineUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
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

    fn parse(text: &str) -> Result<LineUrlTemplate, InvalidTemplate> {
        LineUrlTemplate::parse(text, &[], &Url::parse("https://hooks.example/v1/webhook").unwrap())
    }

    fn url(template: &str, reference: Option<&str>) -> Result<String, NoLineUrl> {
        parse(template).unwrap().url("972501234567", reference).map(|url| url.url().expose().to_owned())
    }

    fn shown(template: &str, reference: Option<&str>) -> String {
        let url = parse(template).unwrap().url("972501234567", reference).unwrap();
        assert_eq!(format!("{url:?}"), url.to_string());
        url.to_string()
    }

    #[test]
    fn of_path_and_query_only_the_placeholders_and_the_names_of_parameters_are_shown() {
        for (template, expected) in [
            ("https://Example.com", "https://example.com"),
            ("https://example.com:8443/", "https://example.com:8443/"),
            ("https://example.com/in/s3cr3t/{whatsapp}", "https://example.com/***/***/972501234567"),
            ("https://example.com/a{whatsapp}b{reference}/", "https://example.com/***972501234567***a%2Fb/"),
            ("https://example.com?s3cr3t", "https://example.com?***"),
            ("https://example.com/?k=s3cr3t&{reference}&c={reference}", "https://example.com/?k=***&a%2Fb&c=a%2Fb"),
            ("https://example.com/?k=s3=cr3t?s3cr3t/{whatsapp}", "https://example.com/?k=***972501234567"),
            ("http://127.0.0.1:9000/s3cr3t", "http://127.0.0.1:9000/***"),
        ] {
            assert_eq!(shown(template, Some("a/b")), expected);
        }
        let host = shown("https://a1b2c3d4e5f6a7b8c9d0e1f2.hooks.example/", None);
        assert!(host.starts_with("https://***") && host.ends_with(".hooks.example/"), "{host}");
        let backslash = shown("https://example.com\\s3cr3t/{whatsapp}", None);
        assert!(!backslash.contains("s3cr3t"), "{backslash}");
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
            let error = parse(text).unwrap_err();
            assert_eq!(error, fault, "{text}");
            assert!(!format!("{error} {error:?}").contains("secret"));
        }
        let long = format!("https://example.com/{}", "x".repeat(500));
        assert_eq!(parse(&long).unwrap_err(), InvalidTemplate::Url(InvalidWebhookUrl::TooLong));
    }
}
