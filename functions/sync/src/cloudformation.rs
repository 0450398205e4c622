//! The requests of the custom resource that stands for the registration in the template, and the answers to them.

pub(crate) mod answer;
pub(crate) mod request;
