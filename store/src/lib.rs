//! The DynamoDB tables: keys, items, the one atomic write, the reads.

mod delivery;
mod error;
mod keys;
mod read;
mod record;
mod settings;
mod state;
mod state_update;
mod tokens;

pub use delivery::{Content, Delivery, StoredDelivery};
pub use error::StoreError;
pub use read::{Cursor, Listing, Order, Page, Reader};
pub use record::{Recorded, Recorder};
pub use settings::Settings;
pub use state::State;
pub use tokens::{AcceptedTokens, REREAD_INTERVAL};
