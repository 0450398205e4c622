//! The client of the provider's partner API: access tokens, the registered webhook, and the lists of everything that exists. Also the
//! client of the WhatsApp V2 API: the webhook of each line.
//!
//! A [`Session`] has an access token and replaces it at most once. Otherwise nothing is tried twice, and no redirect is
//! followed. Requests are written exactly as documented. Answers are read with tolerance where the provider is known to
//! vary, and refused where their meaning would be a guess.
//!
//! No secret, no body and no URL is in any error or `Debug` output.

mod access_token_cache;
mod base_url;
mod credentials;
mod error;
mod http;
mod line_api;
mod lists;
mod messages;
mod operation;
mod session;

pub use base_url::{ApiBaseUrl, InvalidApiBaseUrl};
pub use credentials::{AccessToken, ClientCredentials, Credentials};
pub use error::{PartnerError, Unexpected, Unreached};
pub use http::Limits;
pub use line_api::{LineApi, LineApiError, LineSettings, LineWebhook};
pub use lists::{Builder, Line, OnboardingLink, OnlineAccount, OtherFields, RegisteredNumber, Store};
pub use operation::{List, Operation};
pub use session::{PartnerApi, Session};
