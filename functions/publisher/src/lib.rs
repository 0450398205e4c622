//! The publisher: reads the stream of the events table and hands every new event on, to the stack's event bus and, where the
//! partner has an endpoint, to the forward queue.
//!
//! The way through, one file a step: `batch` → [`handler`](Publisher::handle) → `bus` and `forward_queue`, or `aside` for a
//! record that cannot be published. `tally` counts what was published, so that a gap can be found.
//!
//! At least once, in order within an entity: Lambda hands the records of an entity over in order, and again from the first that
//! this function reports as failed.

mod aside;
mod batch;
mod budget;
mod bus;
mod config;
mod forward_queue;
mod handler;
mod log;
mod metrics;
mod rounds;

pub use batch::{Batch, Failures};
pub use budget::AWS;
pub use config::Config;
pub use handler::Publisher;
