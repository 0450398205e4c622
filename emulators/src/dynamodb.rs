//! An embedded DynamoDB with the project's tables: the real wire format, so that the real SDK talks to it.

use std::{io, net::SocketAddr, path::Path};

use aws_sdk_dynamodb::{
    Client,
    error::DisplayErrorContext,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
        ScalarAttributeType, TimeToLiveSpecification,
    },
};
use dynoxide::Database;
use tokio::{net::TcpListener, sync::oneshot};

use crate::sdk;

/// The indexes of the events table, each with its two key attributes, as template.yaml has them.
const INDEXES: [(&str, &str, &str); 3] =
    [("by-time", "time_shard", "sk"), ("by-reference", "reference", "sk"), ("by-status", "state_shard", "extra_info")];

/// A running embedded DynamoDB; it ends when this is dropped.
#[derive(Debug)]
pub struct DynamoDb {
    address: SocketAddr,
    client: Client,
    _stop: oneshot::Sender<()>,
}

impl DynamoDb {
    /// Starts one in memory on a free port of the loopback interface, with the tables in it.
    ///
    /// # Errors
    /// When no port is to be had or the tables cannot be created.
    pub async fn start() -> io::Result<Self> {
        Self::serve(Database::memory().map_err(io::Error::other)?).await
    }

    /// Starts one whose data stays in a file.
    ///
    /// # Errors
    /// As for [`DynamoDb::start`], and when the file cannot be opened.
    pub async fn start_in(file: &Path) -> io::Result<Self> {
        let path = file.to_str().ok_or_else(|| io::Error::other("the path of the database is not UTF-8"))?;
        Self::serve(Database::new(path).map_err(io::Error::other)?).await
    }

    async fn serve(database: Database) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, async {
            // An error means that the sender was dropped, which is how it is told to stop.
            let _ = stopped.await;
        }));
        let dynamodb = Self { address, client: client(&format!("http://{address}")), _stop: stop };
        dynamodb.create_table(dynamodb.events_table(), &INDEXES).await?;
        dynamodb.create_table(dynamodb.sealed_table(), &[]).await?;
        Ok(dynamodb)
    }

    /// Its address, for `AWS_ENDPOINT_URL_DYNAMODB`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The name of the events table.
    pub fn events_table(&self) -> &'static str {
        "events"
    }

    /// The name of the sealed table.
    pub fn sealed_table(&self) -> &'static str {
        "sealed"
    }

    async fn create_table(&self, name: &str, indexes: &[(&str, &str, &str)]) -> io::Result<()> {
        let mut keys = vec!["pk", "sk"];
        let mut create = self
            .client
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(Some(key_schema("pk", "sk")?));
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
                return Ok(());
            }
            Err(error) => return Err(io::Error::other(DisplayErrorContext(error).to_string())),
        }
        let ttl = TimeToLiveSpecification::builder().attribute_name("expires_at").enabled(true).build();
        let update = self.client.update_time_to_live().table_name(name);
        let update = update.time_to_live_specification(ttl.map_err(io::Error::other)?);
        update.send().await.map_err(|error| io::Error::other(DisplayErrorContext(error).to_string()))?;
        Ok(())
    }
}

fn key_schema(hash: &str, range: &str) -> io::Result<Vec<KeySchemaElement>> {
    let key = |name: &str, key_type: KeyType| {
        KeySchemaElement::builder().attribute_name(name).key_type(key_type).build().map_err(io::Error::other)
    };
    Ok(vec![key(hash, KeyType::Hash)?, key(range, KeyType::Range)?])
}

/// A client of one that runs at an address.
pub fn client(url: &str) -> Client {
    Client::new(&sdk::plain(url))
}
