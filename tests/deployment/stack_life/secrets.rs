//! Values that must not appear in any log or output.

use std::{fs, path::Path};

use serde_json::Value;

use crate::tools::root;

/// The secrets that the test knows of.
#[derive(Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// The API key of a line, from the sample that has one.
    pub fn api_key() -> String {
        let sample = fs::read(root().join("events/bodies/whatsapp.json")).unwrap();
        let sample: Value = serde_json::from_slice(&sample).unwrap();
        sample["whatsapp_apiKey"].as_str().unwrap().to_owned()
    }

    pub fn add(&mut self, secret: impl Into<String>) {
        self.0.push(secret.into());
    }

    /// Returns whether a text contains one of them.
    pub fn are_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret.as_str()))
    }

    /// A text without them.
    pub fn masked(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "[secret]"))
    }

    /// The last lines of a file, without them.
    pub fn masked_end(&self, file: &Path, lines: usize) -> String {
        let text = self.masked(&String::from_utf8_lossy(&fs::read(file).unwrap_or_default()));
        let all: Vec<_> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}
