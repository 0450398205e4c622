//! Hides the parts of a URL that may be secrets.

use url::{Host, Url};

use crate::webhook_token::TokenHash;

/// Minimum length of a part of a path that may be a secret, in characters.
const LIKE_A_SECRET: usize = 12;

/// Minimum length of a label of a host that may be a secret, in characters.
const LIKE_A_SECRET_LABEL: usize = 20;

/// Minimum number of digits in a label of a host that may be a secret.
const DIGITS_OF_A_SECRET: usize = 3;

/// Maximum length of a masked URL, in characters.
const LONGEST_MASKED: usize = 200;

/// Number of characters kept at the end of a longer one, to tell two apart.
const MASKED_END: usize = 16;

/// Returns the URL with query, credentials and fragment as `***`. Each part that may be a secret becomes `***` and four
/// digits of its SHA-256: enough to tell two tokens apart, too little to find one. Those parts are the last one of the
/// path, each long one, and labels of the host that look like a secret. A long URL is cut in the middle.
pub(crate) fn masked(url: &Url) -> String {
    let host = masked_host(url);
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let parts = parts(url);
    let part = |(at, part): (usize, &&str)| if is_hidden(&parts, at) { mask(part) } else { (*part).to_owned() };
    let path: String = parts.iter().enumerate().map(|part_at| format!("/{}", part(part_at))).collect();
    let query = if url.query().is_some() { "?***" } else { "" };
    let user = if url.username().is_empty() && url.password().is_none() { "" } else { "***@" };
    let fragment = if url.fragment().is_some() { "#***" } else { "" };
    cut(&format!("{}://{user}{host}{port}{path}{query}{fragment}", url.scheme()))
}

/// Returns the host of a URL, masked as [`masked`] does.
pub(crate) fn masked_host(url: &Url) -> String {
    let labels = labels(url).map(|label| if is_hidden_label(url, label) { mask(label) } else { label.to_owned() });
    labels.collect::<Vec<String>>().join(".")
}

fn mask(part: &str) -> String {
    format!("***{}", &TokenHash::of(part).to_string()[..4])
}

/// Returns the texts that [`masked`] masks: labels of the host, parts of the path, and the query.
pub(crate) fn hidden(url: &Url) -> Vec<&str> {
    let parts = parts(url);
    let hidden = (0..parts.len()).filter(|at| is_hidden(&parts, *at)).map(|at| parts[at]);
    let labels = labels(url).filter(|label| is_hidden_label(url, label));
    labels.chain(hidden).chain(url.query()).collect()
}

/// Returns the text; a long one has `…` in place of its middle.
fn cut(text: &str) -> String {
    let length = text.chars().count();
    if length <= LONGEST_MASKED {
        return text.to_owned();
    }
    let start: String = text.chars().take(LONGEST_MASKED - MASKED_END - 1).collect();
    let end: String = text.chars().skip(length - MASKED_END).collect();
    format!("{start}…{end}")
}

/// Returns the labels of a URL's host; an address is one label.
fn labels(url: &Url) -> impl Iterator<Item = &str> {
    let separator = if matches!(url.host(), Some(Host::Domain(_))) { '.' } else { '\0' };
    url.host_str().unwrap_or_default().split(separator)
}

/// Returns whether a label of the host may be a secret. A text that is not a URL is parsed as a host of one label, and some
/// services give each customer a secret host name.
fn is_hidden_label(url: &Url, label: &str) -> bool {
    let Some(Host::Domain(host)) = url.host() else { return false };
    let digits = label.chars().filter(char::is_ascii_digit).count();
    (!host.contains('.') && host != "localhost")
        || label.len() >= LIKE_A_SECRET_LABEL
        || (label.len() >= LIKE_A_SECRET && digits >= DIGITS_OF_A_SECRET)
}

/// Returns the parts of a URL's path.
fn parts(url: &Url) -> Vec<&str> {
    url.path().split('/').filter(|part| !part.is_empty()).collect()
}

/// Returns whether a part of a path may be a secret: the last one, and every long one.
fn is_hidden(parts: &[&str], at: usize) -> bool {
    at + 1 == parts.len() || parts[at].len() >= LIKE_A_SECRET
}
