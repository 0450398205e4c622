use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::print;

/// What takes no longer than this shows no progress.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar on standard error, if that is a terminal, for what takes its time; it is gone when this is dropped.
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
}

impl Progress {
    /// Of so many steps.
    pub fn of(steps: usize) -> Self {
        let bar = ProgressBar::with_draw_target(u64::try_from(steps).ok(), ProgressDrawTarget::hidden());
        Self { bar, started: Instant::now() }
    }

    /// One step is done.
    pub fn step(&self) {
        if self.bar.is_hidden() && self.started.elapsed() > PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.inc(1);
    }

    /// Writes to standard output, with the bar out of the way.
    ///
    /// # Errors
    /// As for [`print()`].
    pub fn print(&self, text: &str) -> Result<bool> {
        self.bar.suspend(|| print(text))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
