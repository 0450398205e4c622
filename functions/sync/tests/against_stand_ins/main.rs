//! The function against stand-ins for the partner API and Secrets Manager, and an embedded DynamoDB.

#![allow(clippy::unwrap_used, reason = "what a helper of a test does not get, the test cannot do without")]

mod acceptance;
mod access_token;
mod broken_partner;
mod outcomes;
mod refusals;
mod samples;
mod start;
mod world;
