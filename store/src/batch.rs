//! Reads and writes of many items at once.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    error::BuildError,
    types::{DeleteRequest, KeysAndAttributes, PutRequest, WriteRequest},
};

use crate::{delivery::Item, error::StoreError};

/// Maximum number of items of one write.
const SIZE: usize = 25;
/// Maximum number of keys of one read, by DynamoDB's rule.
pub(crate) const READ_AT_ONCE: usize = 100;
/// Maximum number of requests for the items of one batch, when DynamoDB leaves some unwritten.
const ATTEMPTS: u32 = 8;

/// Reads the items with these keys, each with the name of its table; at most 100 keys. DynamoDB may leave some for another request.
pub(crate) async fn get_all(
    client: &Client,
    keys: HashMap<String, Vec<Item>>,
    is_consistent: bool,
) -> Result<Vec<(String, Item)>, StoreError> {
    let (mut items, mut rest) = (Vec::new(), keys);
    while !rest.is_empty() {
        let count = |keys: &HashMap<String, Vec<Item>>| keys.values().map(Vec::len).sum::<usize>();
        let asked = count(&rest);
        let requests = rest.into_iter().map(|(table, keys)| {
            let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(is_consistent).build();
            keys.map(|keys| (table, keys)).map_err(|error| StoreError::DynamoDb(error.to_string()))
        });
        let get = client.batch_get_item().set_request_items(Some(requests.collect::<Result<_, _>>()?));
        let answer = get.send().await.map_err(|error| StoreError::dynamodb(&error))?;
        for (table, of_table) in answer.responses.unwrap_or_default() {
            items.extend(of_table.into_iter().map(|item| (table.clone(), item)));
        }
        let left = answer.unprocessed_keys.unwrap_or_default().into_iter();
        rest = left.map(|(table, left)| (table, left.keys)).filter(|(_, keys)| !keys.is_empty()).collect();
        if count(&rest) == asked {
            return Err(StoreError::DynamoDb("the read was throttled".to_owned()));
        }
    }
    Ok(items)
}

/// Returns the request to put an item.
pub(crate) fn put(item: Item) -> Result<WriteRequest, StoreError> {
    let put = PutRequest::builder().set_item(Some(item)).build().map_err(incomplete)?;
    Ok(WriteRequest::builder().put_request(put).build())
}

/// Returns the request to delete the item with a key.
pub(crate) fn delete(key: Item) -> Result<WriteRequest, StoreError> {
    let delete = DeleteRequest::builder().set_key(Some(key)).build().map_err(incomplete)?;
    Ok(WriteRequest::builder().delete_request(delete).build())
}

fn incomplete(error: BuildError) -> StoreError {
    StoreError::DynamoDb(error.to_string())
}

/// Writes items of a table, which may not name the same item twice.
///
/// # Errors
/// Fails when DynamoDB refuses or does not answer; some items may have been written.
pub(crate) async fn write(client: &Client, table: &str, items: &[WriteRequest]) -> Result<(), StoreError> {
    for items in items.chunks(SIZE) {
        let mut left = items.to_vec();
        for _ in 0..ATTEMPTS {
            let write = client.batch_write_item().request_items(table, left);
            let answer = write.send().await.map_err(|error| StoreError::dynamodb(&error))?;
            left = answer.unprocessed_items.unwrap_or_default().remove(table).unwrap_or_default();
            if left.is_empty() {
                break;
            }
        }
        if !left.is_empty() {
            return Err(StoreError::DynamoDb("items of a batch stay unprocessed".to_owned()));
        }
    }
    Ok(())
}
