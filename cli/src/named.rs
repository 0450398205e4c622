//! Entities and kinds as people type them.

use anyhow::{Error, Result, anyhow};
use shared::Entity;
use store::{Reader, named};

use crate::output::note;

/// Returns the entity that a person means: by its name, by its number or account, or by its reference. `all` says how to get all that
/// share a reference, such as `--reference`.
///
/// # Errors
/// Fails when there is none, or more than one. The message names those that it can be.
pub async fn entity(reader: &Reader, typed: &str, all: &str) -> Result<Entity> {
    named::entities(reader, typed).await?.only(typed, "entity", all).map_err(Error::msg)
}

/// Checks a reference for which nothing was found. One that events have is no error: they may be outside the period.
///
/// # Errors
/// Fails when no event has it. The message names similar ones.
pub async fn check_reference(reader: &Reader, typed: Option<&str>) -> Result<()> {
    let Some(typed) = typed else { return Ok(()) };
    named::unknown_reference(reader, typed).await?.map_or(Ok(()), |why| Err(anyhow!(why)))
}

/// Notes for the person that a kind is probably mistyped: it is close to the name of one that there is.
pub fn note_unknown_kind(kind: Option<&str>) {
    if let Some((kind, close)) = kind.and_then(|kind| Some((kind, named::similar_kind(kind)?))) {
        note(&format!("{kind} is not a known kind; did you mean {close}?"));
    }
}
