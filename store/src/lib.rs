//! The DynamoDB tables: keys, items, the one atomic write, the reads.

mod tokens;

pub use tokens::{Acceptance, AcceptedTokens, REREAD_INTERVAL};
