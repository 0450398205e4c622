use std::{convert::Infallible, ops::RangeInclusive, time::Duration};

use lambda::{Environment, InvalidVariable, RecordingConfig};
use partner::ApiBaseUrl;
use shared::{QueueUrl, WebhookUrl};
use thiserror::Error;

use crate::{line_url::LineUrlTemplate, secret_fault::SecretId};

/// The configuration in the function's environment.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) partner_api: ApiBaseUrl,
    pub(crate) partner_secret: SecretId,
    pub(crate) webhook_token_secret: SecretId,
    pub(crate) webhook_address: WebhookUrl,
    pub(crate) events_table: String,
    pub(crate) sealed_table: String,
    pub(crate) mode: SyncMode,
    pub(crate) token_max_age: Option<Duration>,
    pub(crate) token_overlap: Duration,
    /// `None` without `FINGERPRINT_KEY`: then only the registration is kept.
    pub(crate) inventory: Option<InventoryConfig>,
    /// `None` without `LINE_WEBHOOK_URL`: then no line is checked. A mistake in it must not stop the registration and the inventory.
    pub(crate) lines: Result<Option<LinesConfig>, InvalidVariable>,
}

/// The configuration of the lines' webhooks.
#[derive(Clone, Debug)]
pub(crate) struct LinesConfig {
    pub(crate) url: LineUrlTemplate,
    pub(crate) mode: LineMode,
    /// True if the provider is to retry failed deliveries.
    pub(crate) retry: bool,
    /// True if the provider is also to report the states of sent messages.
    pub(crate) read_status: bool,
    pub(crate) api: ApiBaseUrl,
}

/// Reaction of a pass to a line whose webhook is not as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineMode {
    /// Set ours where nothing is registered, or an outdated URL of ours.
    Fill,
    /// Set ours in place of any other.
    Enforce,
    /// Report it.
    Observe,
}

/// The configuration of the inventory.
#[derive(Clone, Debug)]
pub(crate) struct InventoryConfig {
    pub(crate) recording: RecordingConfig,
    pub(crate) dead_letter_queue: Option<QueueUrl>,
    /// How long an entity may be listed without an event before it counts as missed.
    pub(crate) missed_after: Duration,
    /// How long an onboarding link may be unfinished before it is reported.
    pub(crate) stuck_after: Duration,
}

/// Reaction of a scheduled run to another registered URL than ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// Register ours.
    Enforce,
    /// Report the other one.
    Observe,
}

const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, Error)]
enum InvalidAddress {
    #[error("{0}")]
    Url(#[from] shared::InvalidWebhookUrl),
    #[error("has a query (?…), but the token goes to the end of the path")]
    HasQuery,
}

impl Config {
    /// Reads and checks the environment.
    ///
    /// # Errors
    /// Fails at the first variable that is missing or invalid. An invalid variable of the lines makes only their pass fail.
    pub fn read(environment: &Environment) -> Result<Self, InvalidVariable> {
        let example = "https://partners.99digital.co.il/api";
        let partner_api = environment.read("PARTNER_API_BASE_URL", example, ApiBaseUrl::parse)?;
        let example = "https://abc.execute-api.eu-west-1.amazonaws.com/v1/webhook";
        let webhook_address = environment.read("WEBHOOK_URL", example, address)?;
        Ok(Self {
            partner_secret: SecretId::read(environment, "PARTNER_SECRET_ID")?,
            webhook_token_secret: SecretId::read(environment, "WEBHOOK_TOKEN_SECRET_ID")?,
            events_table: environment.read("EVENTS_TABLE", "hooks-events", text)?,
            sealed_table: environment.read("SEALED_TABLE", "hooks-sealed", text)?,
            mode: environment.read_or("SYNC_MODE", "enforce", mode)?,
            token_max_age: match environment.read_or("TOKEN_MAX_AGE_DAYS", "90", |days| whole(days, 0..=3650))? {
                0 => None,
                days => Some(DAY * days),
            },
            token_overlap: HOUR * environment.read_or("TOKEN_OVERLAP_HOURS", "24", |hours| whole(hours, 1..=336))?,
            inventory: match environment.read_if_set("FINGERPRINT_KEY", "a generated text", text)? {
                None => None,
                Some(_) => Some(InventoryConfig::read(environment)?),
            },
            lines: LinesConfig::read(environment, &partner_api, &webhook_address),
            partner_api,
            webhook_address,
        })
    }
}

impl LinesConfig {
    fn read(
        environment: &Environment,
        partner_api: &ApiBaseUrl,
        webhook: &WebhookUrl,
    ) -> Result<Option<Self>, InvalidVariable> {
        // Read even without a URL, so that a mistake is found before one is set.
        let mode = environment.read_or("LINE_WEBHOOK_MODE", "fill", line_mode)?;
        let retry = environment.read_or("LINE_WEBHOOK_RETRY", "1", flag)?;
        let read_status = environment.read_or("LINE_WEBHOOK_READ_STATUS", "0", flag)?;
        let api =
            environment.read_or("LINE_API_BASE_URL", "https://api.99digital.co.il/whatsapp/v2", ApiBaseUrl::parse)?;
        let example = "https://example.com/lines/{whatsapp}";
        let url = environment.read_if_set("LINE_WEBHOOK_URL", example, |text| {
            LineUrlTemplate::parse(text, &[partner_api.url(), api.url()], webhook.url())
        })?;
        Ok(url.map(|url| Self { url, mode, retry, read_status, api }))
    }
}

impl InventoryConfig {
    fn read(environment: &Environment) -> Result<Self, InvalidVariable> {
        Ok(Self {
            recording: RecordingConfig::read(environment)?,
            dead_letter_queue: environment.read_if_set(
                "DEAD_LETTER_QUEUE_URL",
                "https://sqs.eu-west-1.amazonaws.com/123456789012/my-stack-dead-letters",
                str::parse,
            )?,
            missed_after: MINUTE
                * environment.read_or("MISSED_AFTER_MINUTES", "30", |minutes| whole(minutes, 0..=10_080))?,
            stuck_after: DAY * environment.read_or("STUCK_AFTER_DAYS", "14", |days| whole(days, 1..=365))?,
        })
    }
}

fn address(text: &str) -> Result<WebhookUrl, InvalidAddress> {
    let address = WebhookUrl::parse(text)?;
    if text.contains('?') { Err(InvalidAddress::HasQuery) } else { Ok(address) }
}

fn mode(text: &str) -> Result<SyncMode, &'static str> {
    match text {
        "enforce" => Ok(SyncMode::Enforce),
        "observe" => Ok(SyncMode::Observe),
        _ => Err(r#"is neither "enforce" nor "observe""#),
    }
}

fn line_mode(text: &str) -> Result<LineMode, &'static str> {
    match text {
        "fill" => Ok(LineMode::Fill),
        "enforce" => Ok(LineMode::Enforce),
        "observe" => Ok(LineMode::Observe),
        _ => Err(r#"is none of "fill", "enforce" and "observe""#),
    }
}

fn flag(text: &str) -> Result<bool, &'static str> {
    match text {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err("is neither 0 nor 1"),
    }
}

fn whole(text: &str, allowed: RangeInclusive<u32>) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| allowed.contains(number));
    number.ok_or_else(|| format!("is not a whole number from {} to {}", allowed.start(), allowed.end()))
}

fn text(text: &str) -> Result<String, Infallible> {
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 6] = [
        ("PARTNER_API_BASE_URL", "https://partners.example.com/api"),
        ("PARTNER_SECRET_ID", "partner"),
        ("WEBHOOK_TOKEN_SECRET_ID", "webhook-token"),
        ("WEBHOOK_URL", "https://example.com/v1/webhook"),
        ("EVENTS_TABLE", "events"),
        ("SEALED_TABLE", "sealed"),
    ];

    fn read_with(name: &str, value: &str) -> Result<Config, InvalidVariable> {
        let mut environment = Environment::from(GOOD);
        environment.extend([(name.to_owned(), value.to_owned())]);
        Config::read(&environment)
    }

    #[test]
    fn a_good_environment_is_read() {
        assert!(Config::read(&Environment::from(GOOD)).is_ok());
    }

    #[test]
    fn a_bad_variable_is_named_with_its_fault() {
        for (name, value, fault) in [
            ("PARTNER_API_BASE_URL", "http://partners.example.com/api", "is not https"),
            ("PARTNER_SECRET_ID", " ", "is empty"),
            ("WEBHOOK_TOKEN_SECRET_ID", "", "is empty"),
            ("WEBHOOK_URL", "http://example.com/v1/webhook", "not https"),
            ("WEBHOOK_URL", "https://example.com/v1/webhook?a=b", "has a query"),
            ("EVENTS_TABLE", "", "is empty"),
            ("SEALED_TABLE", "", "is empty"),
            ("SYNC_MODE", "Enforce", "is neither"),
            ("SYNC_MODE", "", "is empty"),
            ("TOKEN_MAX_AGE_DAYS", "-1", "is not a whole number from 0 to 3650"),
            ("TOKEN_MAX_AGE_DAYS", "1.5", "is not a whole number"),
            ("TOKEN_OVERLAP_HOURS", "0", "is not a whole number from 1 to 336"),
        ] {
            let message = read_with(name, value).unwrap_err().to_string();
            assert!(message.contains(&format!("{name}: ")) && message.contains(fault), "{message}");
        }
    }

    #[test]
    fn mode_and_token_ages_have_defaults() {
        let config = Config::read(&Environment::from(GOOD)).unwrap();
        assert_eq!(config.mode, SyncMode::Enforce);
        assert_eq!((config.token_max_age, config.token_overlap), (Some(DAY * 90), HOUR * 24));
        assert_eq!(read_with("SYNC_MODE", "observe").unwrap().mode, SyncMode::Observe);
        assert_eq!(read_with("TOKEN_MAX_AGE_DAYS", "0").unwrap().token_max_age, None);
        assert_eq!(read_with("TOKEN_MAX_AGE_DAYS", "7").unwrap().token_max_age, Some(DAY * 7));
        assert_eq!(read_with("TOKEN_OVERLAP_HOURS", "336").unwrap().token_overlap, DAY * 14);
    }

    #[test]
    fn the_inventory_is_configured_with_the_fingerprint_key_and_has_defaults() {
        assert!(Config::read(&Environment::from(GOOD)).unwrap().inventory.is_none());
        let mut environment = Environment::from(GOOD);
        let recording = [
            ("FINGERPRINT_KEY", "a key for tests only"),
            ("FALLBACK_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/fallback"),
            ("DEDUP_WINDOW_SECONDS", "600"),
            ("RETENTION_DAYS", "365"),
        ];
        environment.extend(recording.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let inventory = Config::read(&environment).unwrap().inventory.unwrap();
        assert_eq!((inventory.missed_after, inventory.stuck_after), (MINUTE * 30, DAY * 14));
        for (name, value, fault) in [
            ("MISSED_AFTER_MINUTES", "-1", "is not a whole number from 0 to 10080"),
            ("STUCK_AFTER_DAYS", "0", "is not a whole number from 1 to 365"),
            ("DEAD_LETTER_QUEUE_URL", "dead", "DEAD_LETTER_QUEUE_URL"),
            ("FALLBACK_QUEUE_URL", "", "FALLBACK_QUEUE_URL"),
        ] {
            let mut environment = environment.clone();
            environment.extend([(name.to_owned(), value.to_owned())]);
            let message = Config::read(&environment).unwrap_err().to_string();
            assert!(message.contains(fault), "{message}");
        }
        environment.extend([("MISSED_AFTER_MINUTES".to_owned(), "0".to_owned())]);
        assert_eq!(Config::read(&environment).unwrap().inventory.unwrap().missed_after, Duration::ZERO);
    }

    #[test]
    fn lines_are_off_without_a_url_and_their_settings_have_defaults() {
        assert!(Config::read(&Environment::from(GOOD)).unwrap().lines.unwrap().is_none());
        let lines =
            read_with("LINE_WEBHOOK_URL", "https://bot.example.com/{whatsapp}").unwrap().lines.unwrap().unwrap();
        assert_eq!((lines.mode, lines.retry, lines.read_status), (LineMode::Fill, true, false));
        assert_eq!(lines.api.join(""), "https://api.99digital.co.il/whatsapp/v2");
        for (name, value, fault) in [
            ("LINE_WEBHOOK_URL", "http://example.com/secret", "not https"),
            ("LINE_WEBHOOK_URL", "https://bot.example.com/{secret}", "has a placeholder"),
            ("LINE_WEBHOOK_URL", "https://example.com/v1/webhook/secret", "is this webhook's own address"),
            ("LINE_WEBHOOK_URL", "https://partners.example.com/{whatsapp}", "is the provider's"),
            ("LINE_WEBHOOK_URL", "https://api.99digital.co.il/whatsapp/secret", "is the provider's"),
            ("LINE_WEBHOOK_MODE", "Fill", "is none of"),
            ("LINE_WEBHOOK_RETRY", "true", "is neither 0 nor 1"),
            ("LINE_WEBHOOK_READ_STATUS", "2", "is neither 0 nor 1"),
            ("LINE_API_BASE_URL", "http://example.com", "is not https"),
        ] {
            let message = read_with(name, value).unwrap().lines.unwrap_err().to_string();
            assert!(message.contains(&format!("{name}: ")) && message.contains(fault), "{message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn every_variable_is_needed() {
        for (missing, _) in GOOD {
            let mut environment = Environment::from([]);
            let others = GOOD.into_iter().filter(|(name, _)| *name != missing);
            environment.extend(others.map(|(name, value)| (name.to_owned(), value.to_owned())));
            let message = Config::read(&environment).unwrap_err().to_string();
            assert!(message.contains(&format!("{missing}: is not set")), "{message}");
        }
    }
}
