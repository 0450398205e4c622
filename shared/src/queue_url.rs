use std::str::FromStr;

use thiserror::Error;
use url::Url;

/// The URL of an SQS queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueUrl(String);

/// The text is not a [`QueueUrl`].
#[derive(Debug, Error)]
#[error("not a queue URL: expected https:// (or http:// for a stand-in), ending with the queue's name")]
pub struct InvalidQueueUrl;

impl QueueUrl {
    /// Returns the text as SQS returned it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for QueueUrl {
    type Err = InvalidQueueUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| InvalidQueueUrl)?;
        let names_a_queue =
            url.path_segments().and_then(|mut parts| parts.next_back()).is_some_and(|name| !name.is_empty());
        if !matches!(url.scheme(), "http" | "https") || !names_a_queue {
            return Err(InvalidQueueUrl);
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_queue_is_kept_as_it_is_and_others_are_refused() {
        for text in ["https://sqs.eu-west-1.amazonaws.com/123456789012/fallback", "http://127.0.0.1:9324/0/fallback"] {
            assert_eq!(text.parse::<QueueUrl>().unwrap().as_str(), text);
        }
        for text in ["fallback", "arn:aws:sqs:eu-west-1:123456789012:fallback", "https://sqs.eu-west-1.amazonaws.com/"]
        {
            assert!(text.parse::<QueueUrl>().is_err(), "{text}");
        }
    }
}
