use thiserror::Error;

/// The reason why a body is not an event. It does not include the body, which may hold secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Undecodable {
    /// The body is empty or only white space.
    #[error("the body is empty")]
    Empty,
    /// The body begins like a gzip stream but is not a complete one.
    #[error("the body is a damaged gzip stream")]
    Gzip,
    /// The body is a gzip stream whose content exceeds the maximum size of a body.
    #[error("the body is a gzip stream that holds more than 256 KB")]
    GzipTooLarge,
    /// The bytes are not UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// The text is not JSON.
    #[error("the body is not JSON")]
    NotJson,
    /// The text is JSON, but an array, a string, a number, `true`, `false` or `null`.
    #[error("the body is JSON, but not an object")]
    NotAnObject,
}
