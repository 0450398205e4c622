//! An embedded DynamoDB with the project's tables: the real wire format, so that the real SDK talks to it.

use std::{fmt, io, path::Path};

use aws_sdk_dynamodb::{
    Client,
    error::DisplayErrorContext,
    types::{
        AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
        ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType, TimeToLiveSpecification,
    },
};
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use dynoxide::{Database, DynoxideError};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    pattern::Pattern,
    sdk,
    server::Server,
    table_stream::{PUBLISHER_FILTER, StreamMapping},
};

/// The name of the events table.
const EVENTS_TABLE: &str = "events";

/// The indexes of the events table, each with its two key attributes, as template.yaml has them.
const INDEXES: [(&str, &str, &str); 3] =
    [("by-time", "time_shard", "sk"), ("by-reference", "reference", "sk"), ("by-status", "state_shard", "extra_info")];

/// The prefixes of `x-amz-target`: the tables' API and that of their streams.
const TARGETS: [&str; 2] = ["DynamoDB_20120810.", "DynamoDBStreams_20120810."];

/// The maximum size of a request, in bytes.
const MAX_REQUEST: usize = 16 * 1024 * 1024;

/// A running embedded DynamoDB; it ends when this is dropped.
pub struct DynamoDb {
    server: Server,
    database: Database,
    client: Client,
}

impl fmt::Debug for DynamoDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDb").field("server", &self.server).finish_non_exhaustive()
    }
}

impl DynamoDb {
    /// Starts one in memory on a free port of the loopback interface, with the tables in it.
    ///
    /// # Errors
    /// Fails if no port is free or the tables cannot be created.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(0, None).await
    }

    /// Starts one on a port of the loopback interface, with its data in a file or, without one, in memory.
    ///
    /// # Errors
    /// Fails if the port is taken, the file cannot be opened, or the tables cannot be created.
    pub async fn start_on(port: u16, file: Option<&Path>) -> io::Result<Self> {
        let database = match file.map(Path::to_str) {
            None => Database::memory(),
            Some(Some(file)) => Database::new(file),
            Some(None) => return Err(io::Error::other("the path of the database is not UTF-8")),
        };
        let database = database.map_err(io::Error::other)?;
        let router = Router::new()
            .route("/", post(answer))
            .layer(DefaultBodyLimit::max(MAX_REQUEST))
            .with_state(database.clone());
        let server = Server::start(port, router).await?;
        let dynamodb = Self { client: client(&server.url()), server, database };
        dynamodb.create_table(dynamodb.events_table(), &INDEXES).await?;
        dynamodb.create_table(dynamodb.sealed_table(), &[]).await?;
        Ok(dynamodb)
    }

    /// Returns its address, for `AWS_ENDPOINT_URL_DYNAMODB`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns a client of it.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Returns the name of the events table.
    pub fn events_table(&self) -> &'static str {
        EVENTS_TABLE
    }

    /// Returns the stream of the events table, from its start, as Lambda hands it to a function.
    ///
    /// # Errors
    /// Fails when the stream cannot be read.
    pub fn stream(&self) -> io::Result<StreamMapping> {
        StreamMapping::of(self.database.clone(), EVENTS_TABLE)
    }

    /// Returns the records of that stream that the publisher gets, from its start.
    ///
    /// # Errors
    /// Fails when the stream cannot be read.
    pub fn publisher_stream(&self) -> io::Result<StreamMapping> {
        let filter = Pattern::parse(PUBLISHER_FILTER).map_err(io::Error::other)?;
        Ok(self.stream()?.filtered(filter))
    }

    /// Returns the name of the sealed table.
    pub fn sealed_table(&self) -> &'static str {
        "sealed"
    }

    /// Replaces an attribute of an item by a text that no function writes, so that the item cannot be read.
    ///
    /// # Errors
    /// Fails when the item cannot be written.
    pub async fn garble(&self, table: &str, [pk, sk]: [&str; 2], attribute: &str) -> io::Result<()> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let update = self.client.update_item().table_name(table).key("pk", text(pk)).key("sk", text(sk));
        let update = update.update_expression("SET #attribute = :text");
        let update = update.expression_attribute_names("#attribute", attribute);
        let written = update.expression_attribute_values(":text", text("unreadable")).send().await;
        written.map(drop).map_err(io::Error::other)
    }

    async fn create_table(&self, name: &str, indexes: &[(&str, &str, &str)]) -> io::Result<()> {
        let mut keys = vec!["pk", "sk"];
        let mut create = self
            .client
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(Some(key_schema("pk", "sk")?));
        if name == EVENTS_TABLE {
            create = create.stream_specification(new_images()?);
        }
        for (index, hash, range) in indexes {
            keys.extend([hash, range]);
            let projection = Projection::builder().projection_type(ProjectionType::All).build();
            let index = GlobalSecondaryIndex::builder()
                .index_name(*index)
                .set_key_schema(Some(key_schema(hash, range)?))
                .projection(projection)
                .build();
            create = create.global_secondary_indexes(index.map_err(io::Error::other)?);
        }
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let attribute = AttributeDefinition::builder().attribute_name(key).attribute_type(ScalarAttributeType::S);
            create = create.attribute_definitions(attribute.build().map_err(io::Error::other)?);
        }
        match create.send().await {
            Ok(_) => {}
            // The file of an earlier run has it already.
            Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_in_use_exception()) => {
                return self.add_missing_stream(name).await;
            }
            Err(error) => return Err(io::Error::other(DisplayErrorContext(error).to_string())),
        }
        let ttl = TimeToLiveSpecification::builder().attribute_name("expires_at").enabled(true).build();
        let update = self.client.update_time_to_live().table_name(name);
        let update = update.time_to_live_specification(ttl.map_err(io::Error::other)?);
        update.send().await.map_err(|error| io::Error::other(DisplayErrorContext(error).to_string()))?;
        Ok(())
    }

    /// Gives the events table of an earlier version its stream.
    async fn add_missing_stream(&self, name: &str) -> io::Result<()> {
        let described = self.client.describe_table().table_name(name).send().await;
        let described = described.map_err(|error| io::Error::other(DisplayErrorContext(error).to_string()))?;
        let has_stream = described.table().is_some_and(|table| table.latest_stream_arn().is_some());
        if name != EVENTS_TABLE || has_stream {
            return Ok(());
        }
        let update = self.client.update_table().table_name(name).stream_specification(new_images()?).send().await;
        update.map(|_| ()).map_err(|error| io::Error::other(DisplayErrorContext(error).to_string()))
    }
}

fn new_images() -> io::Result<StreamSpecification> {
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewImage);
    stream.build().map_err(io::Error::other)
}

/// Carries out one request. dynoxide has an HTTP server of its own, which lets every web page in.
async fn answer(State(database): State<Database>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = TARGETS.iter().find_map(|prefix| target.strip_prefix(prefix)).unwrap_or_default();
    let (status, answer) = match carry_out(&database, operation, &body) {
        Ok(answer) => (StatusCode::OK, answer),
        Err(error) => {
            let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, error.to_json())
        }
    };
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], answer).into_response()
}

fn carry_out(database: &Database, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
    fn by<Request: DeserializeOwned, Answer: Serialize>(
        body: &[u8],
        carry_out: impl FnOnce(Request) -> Result<Answer, DynoxideError>,
    ) -> Result<String, DynoxideError> {
        let malformed = |error: serde_json::Error| DynoxideError::SerializationException(error.to_string());
        let answer = carry_out(serde_json::from_slice(body).map_err(malformed)?)?;
        serde_json::to_string(&answer).map_err(malformed)
    }
    match operation {
        "CreateTable" => by(body, |request| database.create_table(request)),
        "DeleteTable" => by(body, |request| database.delete_table(request)),
        "DescribeTable" => by(body, |request| database.describe_table(request)),
        "ListTables" => by(body, |request| database.list_tables(request)),
        "UpdateTable" => by(body, |request| database.update_table(request)),
        "DescribeTimeToLive" => by(body, |request| database.describe_time_to_live(request)),
        "UpdateTimeToLive" => by(body, |request| database.update_time_to_live(request)),
        "GetItem" => by(body, |request| database.get_item(request)),
        "PutItem" => by(body, |request| database.put_item(request)),
        "UpdateItem" => by(body, |request| database.update_item(request)),
        "DeleteItem" => by(body, |request| database.delete_item(request)),
        "Query" => by(body, |request| database.query(request)),
        "Scan" => by(body, |request| database.scan(request)),
        "BatchGetItem" => by(body, |request| database.batch_get_item(request)),
        "BatchWriteItem" => by(body, |request| database.batch_write_item(request)),
        "TransactGetItems" => by(body, |request| database.transact_get_items(request)),
        "TransactWriteItems" => by(body, |request| database.transact_write_items(request)),
        "ListStreams" => by(body, |request| database.list_streams(request)),
        "DescribeStream" => by(body, |request| database.describe_stream(request)),
        "GetShardIterator" => by(body, |request| database.get_shard_iterator(request)),
        "GetRecords" => by(body, |request| database.get_records(request)),
        _ => Err(DynoxideError::ValidationException(format!("the embedded DynamoDB has no operation {operation}"))),
    }
}

fn key_schema(hash: &str, range: &str) -> io::Result<Vec<KeySchemaElement>> {
    let key = |name: &str, key_type: KeyType| {
        KeySchemaElement::builder().attribute_name(name).key_type(key_type).build().map_err(io::Error::other)
    };
    Ok(vec![key(hash, KeyType::Hash)?, key(range, KeyType::Range)?])
}

/// Returns a client of one that runs at an address.
pub fn client(url: &str) -> Client {
    Client::new(&sdk::plain(url))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    /// Sends a request as a browser would for a page, and returns the answer's first line.
    async fn ask(dynamodb: &DynamoDb, method: &str, headers: &str) -> String {
        let mut connection = TcpStream::connect(dynamodb.server.address()).await.unwrap();
        let body = r#"{"TableName":"sealed"}"#;
        let request = format!(
            "{method} / HTTP/1.1\r\nconnection: close\r\nx-amz-target: DynamoDB_20120810.Scan\r\n\
             content-length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
        answer.lines().next().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_web_page_cannot_read_the_sealed_table() {
        let dynamodb = DynamoDb::start().await.unwrap();
        let host = format!("host: {}\r\n", dynamodb.server.address());
        assert_eq!(ask(&dynamodb, "POST", &host).await, "HTTP/1.1 200 OK");
        for headers in [
            format!("{host}origin: https://page.example\r\n"),
            format!("{host}sec-fetch-site: cross-site\r\n"),
            "host: page.example\r\norigin: http://page.example\r\n".to_owned(),
        ] {
            for method in ["POST", "OPTIONS", "GET"] {
                assert_eq!(ask(&dynamodb, method, &headers).await, "HTTP/1.1 403 Forbidden", "{method} {headers}");
            }
        }
    }
}
