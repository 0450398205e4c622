//! The page of an error.

use anyhow::Error;
use askama::Template;
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use store::StoreError;

/// The cause of an error page.
pub enum Problem {
    /// The page or its subject does not exist.
    NotFound(String),
    /// The query cannot be read.
    Unclear(String),
    /// The data cannot be read.
    Failed(Error),
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Page {
    title: &'static str,
    message: String,
}

impl Problem {
    /// The message about a link whose place is not in its list.
    pub const WRONG_PLACE: &str = "This link does not belong to this list.";

    /// The problem of such a link.
    pub fn wrong_place() -> Self {
        Self::Unclear(Self::WRONG_PLACE.to_owned())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, title, message) = match self {
            Self::NotFound(message) => (StatusCode::NOT_FOUND, "Not found", message),
            Self::Unclear(message) => (StatusCode::BAD_REQUEST, "Invalid request", message),
            Self::Failed(error) => (StatusCode::BAD_GATEWAY, "Unavailable", format!("{error:#}")),
        };
        (status, render(&Page { title, message })).into_response()
    }
}

/// Renders a page.
pub fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
