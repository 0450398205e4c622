//! The DynamoDB tables: keys, items, the one atomic write, and the reads.

mod batch;
mod delivery;
mod error;
mod follow;
mod forwarded;
mod inventory;
mod keys;
mod lines;
pub mod named;
mod published;
mod quarantine;
mod query;
mod read;
mod record;
mod registration;
mod registration_status;
mod sealed;
mod searched_text;
mod settings;
mod state;
mod state_update;
mod tokens;
mod typed_id;

pub use delivery::{Content, Delivery, Origin, QuarantineCause, StoredDelivery};
pub use error::{StoreError, Unreadable, readable};
pub use follow::Follow;
pub use forwarded::{ForwardFailure, ForwardLookup, ForwardRecord, ForwardRecords, ForwardTaken};
pub use inventory::{Inventory, ListTime, ListTimes, Tracked};
pub use keys::WAS_DUPLICATE_OF;
pub use lines::{LineAction, LineChange, LineRecord, LineStatus, Lines, SetLease, UnknownLineStatus};
pub use published::PublishedCounts;
pub use quarantine::{Quarantine, Retried};
pub use query::{DeliveryFilter, DeliveryQuery, NewestDeliveries};
pub use read::{Listing, Order, PAGE, Reader, first, page_size};
pub use record::{Recorded, Recorder};
pub use registration::{
    Before, Change, ChangeKind, CompetingUrl, DeletedStack, RefusedCredentials, Registration, RegistrationLedger,
    UnknownChange, UrlBeforeOurs,
};
pub use registration_status::{Ownership, RegistrationStatus, Segment, Whereabouts};
pub use sealed::{SealedKey, SealedReader};
pub use searched_text::SearchedText;
pub use settings::Settings;
pub use state::State;
pub use tokens::{AcceptedToken, AcceptedTokens, REREAD_INTERVAL};
pub use typed_id::{FindIdError, TypedId};
