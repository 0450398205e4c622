//! What Lambda would take for what was measured, at several memory sizes.
//!
//! The constants are listed ones of us-east-1, as in docs/costs-and-limits.md. What is made of them is an estimate: nothing
//! of it was measured on Lambda.

/// The memory with which a function has one core to itself, in MB (AWS Lambda Developer Guide, "Configure Lambda function
/// memory").
pub const CORE_AT: f64 = 1769.0;
/// USD for a GB-second on x86_64, of the first 6 billion in a month ("AWS Lambda Pricing").
pub const GB_SECOND: f64 = 0.000_016_666_7;
/// USD for a million calls ("AWS Lambda Pricing").
pub const MILLION_CALLS: f64 = 0.20;
/// Milliseconds until DynamoDB has answered one request: assumed, as in docs/costs-and-limits.md.
pub const DYNAMODB: f64 = 7.0;
/// The sizes that are looked at, in MB.
pub const SIZES: [u32; 4] = [128, 256, 512, 1024];

/// What was measured of a function, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// From its start until it was ready, on the clock: it has a whole core then, whatever its memory.
    pub start: f64,
    /// Requests to DynamoDB until then.
    pub start_requests: f64,
    /// CPU of the first event.
    pub first_cpu: f64,
    /// CPU of a warm event.
    pub warm_cpu: f64,
    /// Requests to DynamoDB that an event waits for, one after the other.
    pub requests: f64,
}

/// What that would be at a memory size, in milliseconds and USD.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// The memory, in MB.
    pub memory: u32,
    /// A call that starts the function, with its start.
    pub cold: f64,
    /// A call that finds it running.
    pub warm: f64,
    /// USD for a million warm calls.
    pub million: f64,
}

impl Measured {
    /// The estimate for a memory size in MB: the first event and all others have the core's share that comes with it.
    pub fn at(&self, memory: u32) -> Estimate {
        let share = (f64::from(memory) / CORE_AT).min(1.0);
        let waits = self.requests * DYNAMODB;
        let warm = self.warm_cpu / share + waits;
        let seconds = warm.ceil() / 1000.0;
        Estimate {
            memory,
            cold: self.start + self.start_requests * DYNAMODB + self.first_cpu / share + waits,
            warm,
            million: seconds * f64::from(memory) / 1024.0 * GB_SECOND * 1e6 + MILLION_CALLS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVER: Measured =
        Measured { start: 13.0, start_requests: 1.0, first_cpu: 2.0, warm_cpu: 1.0, requests: 1.0 };

    #[test]
    fn a_size_with_a_whole_core_takes_what_was_measured_and_the_wait() {
        let estimate = RECEIVER.at(1769);
        assert_eq!((estimate.cold, estimate.warm), (29.0, 8.0));
        assert_eq!(RECEIVER.at(3538).warm, 8.0, "one thread has no use for a second core");
    }

    #[test]
    fn the_start_has_a_whole_core_whatever_the_memory() {
        let (small, large) = (RECEIVER.at(128), RECEIVER.at(1769));
        let share = 1769.0 / 128.0;
        assert!((small.cold - large.cold - 2.0 * (share - 1.0)).abs() < 1e-9);
    }

    #[test]
    fn what_is_charged_are_whole_milliseconds_and_the_call() {
        let estimate = Measured { warm_cpu: 0.0, ..RECEIVER }.at(1024);
        assert!((estimate.million - (0.007 * GB_SECOND * 1e6 + 0.20)).abs() < 1e-9);
        let more = Measured { warm_cpu: 0.01, ..RECEIVER }.at(1024);
        assert!((more.million - (0.008 * GB_SECOND * 1e6 + 0.20)).abs() < 1e-9);
    }
}
