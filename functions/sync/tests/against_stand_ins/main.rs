//! The function against stand-ins for the partner API, Secrets Manager and CloudFormation, and an embedded DynamoDB.

#![allow(clippy::unwrap_used, reason = "what a helper of a test does not get, the test cannot do without")]

mod acceptance;
mod access_token;
mod account;
mod contest;
mod credentials;
mod deletion;
mod inventory;
mod ledger;
mod lines;
mod metrics;
mod observe;
mod outcomes;
mod plan;
mod refusals;
mod rotation;
mod samples;
mod stack;
mod start;
mod world;
