use std::{collections::HashMap, fmt::Display};

use thiserror::Error;

/// A function's environment variables, read once at its start.
#[derive(Clone)]
pub struct Environment(HashMap<String, String>);

/// A variable that prevents the function from starting. The error does not include its value, which may be a secret.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("environment variable {name}: {fault}; for example: {example}")]
pub struct InvalidVariable {
    name: &'static str,
    fault: String,
    example: &'static str,
}

impl Environment {
    /// Returns this process's environment variables, except those that are not UTF-8.
    pub fn of_this_process() -> Self {
        let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(utf8).collect())
    }

    /// Returns the value of an optional variable.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the names and values of the variables whose names start with `start`, in alphabetical order.
    pub(crate) fn starting_with<'a>(&'a self, start: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut variables: Vec<_> = self.0.iter().filter(|(name, _)| name.starts_with(start)).collect();
        variables.sort();
        variables.into_iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Reads a variable that must be set and not blank. The error of `parse` becomes part of the message, so it must not
    /// repeat the value.
    ///
    /// # Errors
    /// Fails when the variable is missing, blank, or refused by `parse`.
    pub fn read<T, E: Display>(
        &self,
        name: &'static str,
        example: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, InvalidVariable> {
        let read = self.read_if_set(name, example, parse)?;
        read.ok_or_else(|| InvalidVariable { name, fault: "is not set".to_owned(), example })
    }

    /// Reads an optional variable that must not be blank; otherwise as [`Environment::read`].
    ///
    /// # Errors
    /// Fails when the variable is blank, or refused by `parse`.
    pub fn read_if_set<T, E: Display>(
        &self,
        name: &'static str,
        example: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, InvalidVariable> {
        self.0.get(name).map(|value| parsed(name, value, example, parse)).transpose()
    }

    /// Reads an optional variable that must not be blank, or its default, which is also the example of the error; otherwise as
    /// [`Environment::read`].
    ///
    /// # Errors
    /// Fails when the variable is blank, or refused by `parse`.
    pub fn read_or<T, E: Display>(
        &self,
        name: &'static str,
        default: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, InvalidVariable> {
        parsed(name, self.0.get(name).map_or(default, String::as_str), default, parse)
    }
}

fn parsed<T, E: Display>(
    name: &'static str,
    value: &str,
    example: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, InvalidVariable> {
    let invalid = |fault: String| InvalidVariable { name, fault, example };
    if value.trim().is_empty() {
        return Err(invalid("is empty".to_owned()));
    }
    parse(value).map_err(|fault| invalid(fault.to_string()))
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

impl Extend<(String, String)> for Environment {
    fn extend<I: IntoIterator<Item = (String, String)>>(&mut self, variables: I) {
        self.0.extend(variables);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Result<u64, std::num::ParseIntError> {
        text.parse()
    }

    #[test]
    fn a_good_value_is_read() {
        let environment = Environment::from([("WINDOW", "600")]);
        assert_eq!(environment.read("WINDOW", "600", number), Ok(600));
        assert_eq!(environment.read_or("WINDOW", "60", number), Ok(600));
        assert_eq!(environment.read_or("OTHER", "60", number), Ok(60));
    }

    #[test]
    fn a_bad_value_is_refused_by_name_fault_and_example_and_not_shown() {
        for (value, fault) in [
            (None, "is not set"),
            (Some(""), "is empty"),
            (Some("  "), "is empty"),
            (Some("hunter2"), "invalid digit found in string"),
        ] {
            let environment = value.map_or(Environment::from([]), |value| Environment::from([("WINDOW", value)]));
            let message = environment.read("WINDOW", "600", number).unwrap_err().to_string();
            assert_eq!(message, format!("environment variable WINDOW: {fault}; for example: 600"));
        }
    }
}
