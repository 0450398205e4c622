//! The world on one machine, for tests and `hooks dev`: an embedded DynamoDB, and stand-ins for what has no embedded server.

pub mod api_gateway;
pub mod cloudformation;
pub mod cloudwatch;
pub mod dynamodb;
pub mod endpoint;
pub mod event_bus;
pub mod faults;
pub mod lambda;
pub mod partner;
pub mod pattern;
pub mod runtime_api;
pub mod sdk;
pub mod secrets;
pub mod server;
pub mod sqs;
pub mod table_stream;
