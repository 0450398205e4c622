//! Asks the person before a secret is shown, or events go elsewhere.

use std::io::{IsTerminal, Write, stderr, stdin};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

/// The consent that a person has given in advance.
#[derive(Args)]
pub struct Consent {
    /// Do not ask for confirmation, for scripts.
    #[arg(long)]
    yes: bool,
}

impl Consent {
    /// Asks on the terminal, and returns when the answer is yes.
    ///
    /// # Errors
    /// Fails when the answer is not yes, or standard input is not a terminal.
    pub fn ask(&self, question: &str) -> Result<()> {
        if self.yes {
            return Ok(());
        }
        if !stdin().is_terminal() {
            bail!("{question} There is no terminal to ask on; give --yes to agree");
        }
        write!(stderr(), "{question} [y/N] ").and_then(|()| stderr().flush()).context("standard error")?;
        let mut answer = String::new();
        stdin().read_line(&mut answer).context("standard input")?;
        if !answer.ends_with('\n') {
            // The answer ended without Enter, so the cursor is still behind the question.
            writeln!(stderr()).context("standard error")?;
        }
        ensure!(is_yes(&answer), "nothing was done, as the answer was not yes");
        Ok(())
    }
}

fn is_yes(answer: &str) -> bool {
    let answer = answer.trim();
    ["y", "yes"].iter().any(|yes| answer.eq_ignore_ascii_case(yes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_y_and_yes_go_on() {
        for answer in ["y\n", "Y\r\n", "yes\n", " YES "] {
            assert!(is_yes(answer), "{answer:?}");
        }
        for answer in ["", "\n", "n\n", "no\n", "ye\n", "yy\n", "y n\n", "ｙ\n"] {
            assert!(!is_yes(answer), "{answer:?}");
        }
    }
}
