use std::{error::Error, fmt};

/// An error with all its causes, on one line.
///
/// It uses the `Display` form of each error and never `Debug`: an AWS SDK error contains the whole response there, including
/// stored items and queued bodies.
pub struct Causes<'a>(pub &'a (dyn Error + 'a));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use thiserror::Error;

    use super::*;

    #[derive(Debug, Error)]
    #[error("{message}")]
    struct Layer {
        message: &'static str,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn every_cause_is_named_from_the_outside_in() {
        let inner = Layer { message: "connection refused", source: None };
        let outer = Layer { message: "dispatch failure", source: Some(Box::new(inner)) };
        assert_eq!(Causes(&outer).to_string(), "dispatch failure: connection refused");
    }
}
