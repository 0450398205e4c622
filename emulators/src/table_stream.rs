//! The events table's stream, and the mapping with which Lambda passes its records to a function.

use std::{collections::VecDeque, io};

use dynoxide::Database;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::pattern::Pattern;

/// Maximum number of records in a batch: `BatchSize` in template.yaml.
const BATCH: usize = 100;

/// The records that the publisher gets: `FilterCriteria` in template.yaml.
pub const PUBLISHER_FILTER: &str = r#"{"eventName":["INSERT","MODIFY"],"dynamodb":{"NewImage":{"sk":{"S":[{"prefix":"event#"}]},"kind":{"S":[{"anything-but":["doctor"]}]}}}}"#;

/// Passes the stream's records to a function, in order, each until it is processed.
pub struct StreamMapping {
    database: Database,
    iterator: Value,
    filter: Option<Pattern>,
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
        Ok(Self { database, iterator, filter: None, waiting: VecDeque::new() })
    }

    /// Passes only the records that a pattern matches.
    #[must_use]
    pub(crate) fn filtered(self, filter: Pattern) -> Self {
        Self { filter: Some(filter), ..self }
    }

    /// Returns the event with the next records; `None` when there are none.
    ///
    /// # Errors
    /// Fails when the stream cannot be read.
    pub fn batch(&mut self) -> io::Result<Option<Value>> {
        while self.waiting.len() < BATCH {
            let get = json!({"ShardIterator": self.iterator});
            let mut read = answer(self.database.get_records(request(get)?))?;
            self.iterator = read["NextShardIterator"].take();
            let Value::Array(records) = read["Records"].take() else { break };
            if records.is_empty() {
                break;
            }
            let matches = |record: &Value| self.filter.as_ref().is_none_or(|filter| filter.matches(record));
            self.waiting.extend(records.into_iter().filter(matches));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb::DynamoDb;

    #[test]
    fn the_filter_is_the_template_s() {
        let template = include_str!("../../template.yaml");
        let without_blanks = |text: &str| text.split_whitespace().collect::<String>();
        assert!(without_blanks(template).contains(&without_blanks(PUBLISHER_FILTER)));
        assert!(Pattern::parse(PUBLISHER_FILTER).is_ok());
    }

    async fn put(dynamodb: &DynamoDb, sk: &str, kind: &str) {
        let item = json!({"pk": {"S": "a"}, "sk": {"S": sk}, "kind": {"S": kind}});
        let put = dynamodb.client().put_item().table_name(dynamodb.events_table());
        let text =
            |name: &str| aws_sdk_dynamodb::types::AttributeValue::S(item[name]["S"].as_str().unwrap().to_owned());
        put.item("pk", text("pk")).item("sk", text("sk")).item("kind", text("kind")).send().await.unwrap();
    }

    fn keys(batch: Option<&Value>) -> Vec<&str> {
        let records = batch.and_then(|batch| batch["Records"].as_array()).into_iter().flatten();
        records.map(|record| record["dynamodb"]["Keys"]["sk"]["S"].as_str().unwrap()).collect()
    }

    #[tokio::test]
    async fn from_the_first_failed_record_on_the_batch_is_sent_again() {
        let dynamodb = DynamoDb::start().await.unwrap();
        let mut stream = dynamodb.publisher_stream().unwrap();
        for (sk, kind) in [("event#1", "x"), ("state", "x"), ("event#2", "doctor"), ("event#3", "x"), ("event#4", "x")]
        {
            put(&dynamodb, sk, kind).await;
        }
        let first = stream.batch().unwrap();
        assert_eq!(keys(first.as_ref()), ["event#1", "event#3", "event#4"]);
        stream.settle(None);
        assert_eq!(stream.batch().unwrap(), first, "the function failed");
        let failed = &first.unwrap()["Records"][1]["dynamodb"]["SequenceNumber"];
        stream.settle(Some(&json!({"batchItemFailures": [{"itemIdentifier": failed}]})));
        assert_eq!(keys(stream.batch().unwrap().as_ref()), ["event#3", "event#4"]);
        stream.settle(Some(&json!({"batchItemFailures": []})));
        assert_eq!(stream.batch().unwrap(), None);
    }
}
