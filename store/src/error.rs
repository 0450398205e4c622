use std::{collections::BTreeMap, error::Error as StdError};

use aws_sdk_dynamodb::error::SdkError;
use shared::{Causes, Entity};
use thiserror::Error;

use crate::keys;

/// The reason why the store cannot write or read.
#[derive(Debug, Error)]
pub enum StoreError {
    /// DynamoDB did not answer in time, refused, or could not be reached. A write may have been carried out all the same;
    /// repeating it with the same id is safe.
    #[error("DynamoDB: {0}")]
    DynamoDb(String),
    /// An item is not in the form that this program writes.
    #[error("the item {pk} / {sk} has no usable attribute {attribute}")]
    Corrupt {
        /// The item's partition key.
        pk: String,
        /// The item's sort key.
        sk: String,
        /// The attribute that is missing or has another type.
        attribute: String,
    },
    /// Another write came in between; nothing was written. Read again and retry from there.
    #[error("another writer changed the item at the same time")]
    Conflict,
}

impl StoreError {
    /// Formats the error with its causes but without the response, which repeats stored items.
    pub(crate) fn dynamodb<E: StdError + 'static, R: std::fmt::Debug>(error: &SdkError<E, R>) -> Self {
        Self::DynamoDb(Causes(error).to_string())
    }
}

/// The entities of which an item cannot be read, with the last fault of each. An item of no entity is under its partition key.
pub type Unreadable = BTreeMap<Entity, StoreError>;

/// Returns the items that can be read, and notes the others.
///
/// # Errors
/// Fails with the first error that is not about one item.
pub fn readable<T>(
    items: impl IntoIterator<Item = Result<T, StoreError>>,
    unreadable: &mut Unreadable,
) -> Result<Vec<T>, StoreError> {
    let noted = |item| match item {
        Err(error @ StoreError::Corrupt { .. }) => {
            let StoreError::Corrupt { pk, sk, .. } = &error else { return None };
            // Items of the inventory have their entity in the sort key.
            let entity = if pk == keys::INVENTORY { sk } else { pk };
            unreadable.insert(Entity::named(entity.clone()), error);
            None
        }
        item => Some(item),
    };
    items.into_iter().filter_map(noted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_item_is_noted_by_its_entity_and_any_other_fault_ends_the_reading() {
        let corrupt =
            |pk: &str, sk: &str| StoreError::Corrupt { pk: pk.into(), sk: sk.into(), attribute: "kind".into() };
        let mut unreadable = Unreadable::new();
        let items = [Ok(1), Err(corrupt("whatsapp#1", "state")), Err(corrupt(keys::INVENTORY, "whatsapp#2")), Ok(2)];
        assert_eq!(readable(items, &mut unreadable).unwrap(), [1, 2]);
        assert_eq!(unreadable.keys().map(Entity::as_str).collect::<Vec<_>>(), ["whatsapp#1", "whatsapp#2"]);
        assert!(readable([Ok(1), Err(StoreError::Conflict)], &mut unreadable).is_err());
    }
}
