//! Reads of many items at once.

use std::collections::HashMap;

use aws_sdk_dynamodb::{Client, types::KeysAndAttributes};

use crate::{delivery::Item, error::StoreError};

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
            return Err(StoreError::DynamoDb("it has no capacity left to read".to_owned()));
        }
    }
    Ok(items)
}
