//! The publisher: reads the events table's stream and publishes every new event, and every duplicate that becomes an event, to the
//! stack's event bus and, if the partner has an endpoint, to the forward queue.
//!
//! The steps, one file each: `batch` → [`handler`](Publisher::handle) → `bus` and `forward_queue`, or `aside` for a record
//! that cannot be published. The handler also counts published events, so that a gap can be found.
//!
//! Delivery is at least once, and in order within an entity: Lambda sends an entity's records in order, and again from the
//! first one that this function reports as failed.

mod aside;
mod batch;
mod budget;
mod bus;
mod config;
mod forward_queue;
mod handler;
mod log;
mod metrics;
mod outcome;
mod rounds;

pub use batch::Batch;
pub use budget::AWS;
pub use config::Config;
pub use handler::Publisher;
