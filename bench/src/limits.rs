//! The limits that `--counts` checks.

use anyhow::{Result, bail};

use crate::{report::Measured, size::Size};

/// The limits of one of our functions.
struct Limit {
    function: &'static str,
    /// Requests to DynamoDB during the start.
    start: usize,
    /// Requests and write units of a new event, a duplicate, and an event with an API key; see docs/costs-and-limits.md.
    new: (usize, f64),
    duplicate: (usize, f64),
    with_key: (usize, f64),
    /// Bytes of the zip file.
    zip: u64,
}

const LIMITS: [Limit; 4] = [
    Limit { function: "receiver", start: 1, new: (1, 9.0), duplicate: (2, 12.0), with_key: (1, 11.0), zip: 2_500_000 },
    Limit { function: "redrive", start: 0, new: (1, 9.0), duplicate: (2, 12.0), with_key: (1, 11.0), zip: 2_400_000 },
    // A duplicate is not published.
    Limit { function: "publisher", start: 0, new: (1, 1.0), duplicate: (0, 0.0), with_key: (1, 1.0), zip: 2_500_000 },
    // An event that was forwarded before is not sent again.
    Limit { function: "forwarder", start: 0, new: (2, 1.0), duplicate: (1, 0.0), with_key: (2, 1.0), zip: 2_500_000 },
];

/// Maximum size of sync's zip file, in bytes.
const SYNC_ZIP: u64 = 3_100_000;

/// Compares the counts with the limits.
///
/// # Errors
/// Fails when a limit is exceeded; the message names each of them.
pub fn check(functions: &[Measured], sync: Size) -> Result<()> {
    let mut exceeded = Vec::new();
    let mut compare = |what: String, found: f64, limit: f64| {
        if found > limit {
            exceeded.push(format!("{what}: {found}, and the limit is {limit}"));
        }
    };
    for limit in &LIMITS {
        for function in functions.iter().filter(|function| function.name == limit.function) {
            let (name, counts) = (function.name, &function.counts);
            compare(format!("{name}, requests until it is ready"), counts.start as f64, limit.start as f64);
            for (event, cost, (requests, units)) in [
                ("a new event", counts.new, limit.new),
                ("a duplicate", counts.duplicate, limit.duplicate),
                ("an event with an API key", counts.with_key, limit.with_key),
            ] {
                compare(format!("{name}, requests of {event}"), cost.requests as f64, requests as f64);
                compare(format!("{name}, write units of {event}"), cost.units, units);
            }
            compare(format!("{name}, bytes of the zip file"), function.size.zip as f64, limit.zip as f64);
        }
    }
    compare("sync, bytes of the zip file".to_owned(), sync.zip as f64, SYNC_ZIP as f64);
    if exceeded.is_empty() {
        return Ok(());
    }
    bail!("too much:\n{}", exceeded.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::{Cost, Counts};

    const SMALL: Size = Size { unpacked: 0, zip: 0 };

    fn receiver() -> Measured {
        let cost = |(requests, units)| Cost { requests, units, derived: 0.0 };
        let limit = &LIMITS[0];
        let counts = Counts {
            start: limit.start,
            new: cost(limit.new),
            duplicate: cost(limit.duplicate),
            with_key: cost(limit.with_key),
        };
        let size = Size { unpacked: 0, zip: limit.zip };
        Measured { name: limit.function, counts, size, samples: None }
    }

    #[test]
    fn a_value_at_its_limit_passes() {
        assert!(check(&[receiver()], Size { unpacked: 0, zip: SYNC_ZIP }).is_ok());
    }

    #[test]
    fn each_limit_that_is_exceeded_is_named() {
        type Exceed = fn(&mut Measured);
        let exceed: [(Exceed, &str); 4] = [
            (|receiver| receiver.counts.start += 1, "requests until it is ready: 2, and the limit is 1"),
            (|receiver| receiver.counts.duplicate.requests += 1, "requests of a duplicate: 3"),
            (|receiver| receiver.counts.with_key.units += 2.0, "write units of an event with an API key: 13"),
            (|receiver| receiver.size.zip += 1, "bytes of the zip file"),
        ];
        for (exceed, message) in exceed {
            let mut receiver = receiver();
            exceed(&mut receiver);
            let error = check(&[receiver], SMALL).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let error = check(&[], Size { unpacked: 0, zip: SYNC_ZIP + 1 }).unwrap_err().to_string();
        assert!(error.contains("sync, bytes"), "{error}");
    }
}
