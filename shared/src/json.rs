//! JSON as text: a tokenizer that keeps every byte in place, and a writer whose output every reader can read.

mod output;
mod tokens;

pub use output::{compact, embedded, needs_escape, pretty, quoted, to_string};
pub use tokens::{Token, TokenKind, is_json, tokens, unquote, without_byte_order_mark};
