//! The events table's stream, and the mapping with which Lambda passes its records to a function.

use std::{collections::VecDeque, io};

use dynoxide::Database;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Maximum number of records in a batch: `BatchSize` in template.yaml.
const BATCH: usize = 100;

/// Passes the stream's records to a function, in order, each until it is processed.
pub struct StreamMapping {
    database: Database,
    iterator: Value,
    waiting: VecDeque<Value>,
}

impl StreamMapping {
    /// Starts at the oldest record.
    ///
    /// # Errors
    /// Fails when the table has no stream.
    pub(crate) fn of(database: Database, table: &str) -> io::Result<Self> {
        let streams = database.list_streams(request(json!({"TableName": table}))?);
        let arn = answer(streams)?["Streams"][0]["StreamArn"].clone();
        let description = answer(database.describe_stream(request(json!({"StreamArn": arn}))?))?;
        let shard = &description["StreamDescription"]["Shards"][0]["ShardId"];
        let start = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
        let iterator = answer(database.get_shard_iterator(request(start)?))?["ShardIterator"].clone();
        Ok(Self { database, iterator, waiting: VecDeque::new() })
    }

    /// Returns the event with the next records; `None` when there are none.
    ///
    /// # Errors
    /// Fails when the stream cannot be read.
    pub fn batch(&mut self) -> io::Result<Option<Value>> {
        if self.waiting.len() < BATCH {
            let get = json!({"ShardIterator": self.iterator});
            let read = answer(self.database.get_records(request(get)?))?;
            self.iterator = read["NextShardIterator"].clone();
            self.waiting.extend(read["Records"].as_array().into_iter().flatten().cloned());
        }
        let records: Vec<_> = self.waiting.iter().take(BATCH).collect();
        Ok((!records.is_empty()).then(|| json!({"Records": records})))
    }

    /// Drops the processed records: all before the one that the function's answer names, and none when the function failed.
    pub fn settle(&mut self, answer: Option<&Value>) {
        let Some(answer) = answer else { return };
        let batch = self.waiting.len().min(BATCH);
        let failed = answer["batchItemFailures"][0]["itemIdentifier"].as_str();
        let is_failed = |record: &Value| record["dynamodb"]["SequenceNumber"].as_str() == failed;
        let done = match failed {
            None => batch,
            Some(_) => self.waiting.iter().take(batch).position(is_failed).unwrap_or(0),
        };
        self.waiting.drain(..done);
    }
}

fn request<T: DeserializeOwned>(json: Value) -> io::Result<T> {
    serde_json::from_value(json).map_err(io::Error::other)
}

fn answer<T: serde::Serialize, E: std::fmt::Display>(answer: Result<T, E>) -> io::Result<Value> {
    let answer = answer.map_err(|error| io::Error::other(error.to_string()))?;
    serde_json::to_value(answer).map_err(io::Error::other)
}
