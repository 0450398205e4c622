//! The one atomic write: delivery, state update and sealed item together, or nothing.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    error::{BuildError, ProvideErrorMetadata},
    operation::transact_write_items::{TransactWriteItemsError, builders::TransactWriteItemsFluentBuilder},
    types::{
        CancellationReason, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
    },
};
use shared::{Event, EventId};

use crate::{
    delivery::{Content, Delivery, Item, StoredDelivery, quarantined_key, text},
    error::StoreError,
    settings::Settings,
    state::{Judgement, State, judge},
    state_update::{self, Scope},
};

/// First maximum of the random pause before retrying a write that met another on the same items. It doubles each time, up
/// to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(160);

/// Writes deliveries. It retries until the write succeeds or fails for good; the caller limits the time.
#[derive(Clone, Debug)]
pub struct Recorder {
    client: Client,
    settings: Settings,
}

/// The way in which a delivery was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// As an event that updated the state.
    Event,
    /// As a duplicate of an earlier one.
    Duplicate {
        /// The id of the earlier one.
        of: EventId,
    },
    /// As a quarantined delivery.
    Quarantined,
}

/// The result of a write.
enum Written {
    /// This write recorded the delivery.
    Now(Recorded),
    /// An earlier write recorded it; this is its item.
    Before(Box<Item>),
}

/// The result of one attempt to write.
enum Attempt {
    Written,
    /// A delivery with this id exists already.
    AlreadyThere(Box<Item>),
    /// The state does not meet the condition; this is its item.
    StateDiffers(Box<Item>),
    /// The quarantined delivery to be replaced no longer exists.
    NothingToReplace,
    /// Another write has the items, or the table is throttled.
    Contended,
    /// An earlier attempt used the same idempotency token with other content.
    TokenInUse,
    /// An item would exceed the maximum size of an item.
    TooLarge,
}

impl Recorder {
    /// Creates a recorder. The client's timeouts and retries must fit the caller's time.
    pub fn new(client: Client, settings: Settings) -> Self {
        Self { client, settings }
    }

    /// Records a delivery once: repeating it with the same id changes nothing and returns the same result.
    ///
    /// A new event takes one request, a duplicate two: the condition of the first detects it and returns the state. A delayed event that
    /// shows the newest duplicate to be an event takes a third.
    ///
    /// # Errors
    /// Fails when DynamoDB refuses, cannot be reached or does not answer in the client's time. The write may have been
    /// carried out all the same; repeating it is safe.
    pub async fn record(&self, delivery: &Delivery) -> Result<Recorded, StoreError> {
        match self.write(delivery, None, false).await? {
            Written::Now(recorded) => Ok(recorded),
            Written::Before(item) => already_recorded(delivery, &item),
        }
    }

    /// Records the first event of an entity, unless the entity has a state already. Repeating it with the same id changes
    /// nothing.
    ///
    /// # Errors
    /// Fails as [`Recorder::record`] does, and with [`StoreError::Conflict`] when the entity has a state.
    pub async fn record_first(&self, delivery: &Delivery) -> Result<(), StoreError> {
        self.write(delivery, None, true).await.map(drop)
    }

    /// Records a delivery that was quarantined and decodes now. One transaction writes the event and deletes the
    /// quarantined delivery.
    ///
    /// If an event with this id exists already, two programs with different decoders recorded the delivery: the receiver's
    /// write succeeded without its knowledge, and redrive wrote afterwards. The event then stays unchanged, and only the
    /// quarantined delivery is deleted.
    ///
    /// Fails as [`Recorder::record`] does, and with [`StoreError::Conflict`] when neither the quarantined delivery nor an
    /// event exists, or another write has it.
    pub(crate) async fn release(&self, delivery: &Delivery) -> Result<Recorded, StoreError> {
        let settings = &self.settings;
        match self.write(delivery, Some(&deletes(settings, &delivery.id, true).map_err(malformed)?), false).await? {
            Written::Now(recorded) => Ok(recorded),
            Written::Before(item) => {
                let stands = self.stands(delivery).map_err(malformed)?;
                let deletes = deletes(settings, &delivery.id, false).map_err(malformed)?;
                let write = self.client.transact_write_items().transact_items(stands);
                let write = deletes.into_iter().fold(write, TransactWriteItemsFluentBuilder::transact_items);
                write.send().await.map_err(|error| match error.as_service_error() {
                    Some(refused) if is_contended(refused) => StoreError::Conflict,
                    _ => StoreError::dynamodb(&error),
                })?;
                already_recorded(delivery, &item)
            }
        }
    }

    /// Returns the condition that a delivery with this id and body is recorded as an event.
    fn stands(&self, delivery: &Delivery) -> Result<TransactWriteItem, BuildError> {
        let check = ConditionCheck::builder()
            .table_name(&self.settings.events_table)
            .set_key(Some(delivery.key()))
            .condition_expression("fingerprint = :fingerprint")
            .expression_attribute_values(":fingerprint", text(delivery.fingerprint))
            .build()?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    async fn write(
        &self,
        delivery: &Delivery,
        replaced: Option<&[TransactWriteItem; 2]>,
        must_be_first: bool,
    ) -> Result<Written, StoreError> {
        let mut pause = FIRST_PAUSE;
        let mut scope = Scope::All;
        let mut judged: Option<(State, Judgement)> = None;
        // Part of the idempotency token: different content needs a different token.
        let mut version = 0_u16;
        loop {
            let (step, recorded) = self.step(delivery, scope, judged.as_ref())?;
            let duplicate_of = match &recorded {
                Recorded::Duplicate { of } => Some(of),
                Recorded::Event | Recorded::Quarantined => None,
            };
            match self.attempt(delivery, duplicate_of, step, version, replaced).await? {
                Attempt::Written => {
                    if let Some((state, Judgement::Late { exposes: true })) = &judged {
                        self.expose(delivery, state).await?;
                    }
                    return Ok(Written::Now(recorded));
                }
                Attempt::AlreadyThere(item) => return Ok(Written::Before(item)),
                Attempt::NothingToReplace => return Err(StoreError::Conflict),
                Attempt::StateDiffers(_) if must_be_first => return Err(StoreError::Conflict),
                Attempt::StateDiffers(item) => {
                    let state = State::read(&item)?;
                    if judged.as_ref().is_some_and(|(known, _)| *known == state) {
                        return Err(StoreError::DynamoDb(
                            "the state does not meet a condition made from it".to_owned(),
                        ));
                    }
                    let judgement = self.judge(&state, delivery);
                    judged = Some((state, judgement));
                    version += 1;
                }
                Attempt::Contended => wait(&mut pause).await,
                Attempt::TokenInUse => version += 1,
                Attempt::TooLarge => {
                    scope = scope.less().ok_or_else(|| StoreError::DynamoDb("an item is too large".to_owned()))?;
                    tracing::warn!(event_id = %delivery.id, ?scope, "the state is full and keeps only some of the event's fields");
                    version += 1;
                }
            }
        }
    }

    /// Makes the newest delivery an event, because this one lies between it and the event that it seemed to repeat. It is a write of
    /// its own, after this one's: the stream keeps the order of two writes, but not the order within one. If it is not carried out,
    /// the next delivery with the same body is an event, because the state then has an event newer than its last one.
    async fn expose(&self, delivery: &Delivery, state: &State) -> Result<(), StoreError> {
        let updates = state_update::expose(&self.settings.events_table, delivery, state).map_err(malformed)?;
        let items = updates.map(|update| TransactWriteItem::builder().update(update).build());
        let mut pause = FIRST_PAUSE;
        loop {
            let write = self.client.transact_write_items().set_transact_items(Some(items.to_vec()));
            let Err(error) = write.send().await else { return Ok(()) };
            match error.as_service_error().and_then(refusal) {
                Some(Attempt::Contended) => wait(&mut pause).await,
                // Another write has changed the state, or the delivery cannot become an event.
                Some(_) => return Ok(()),
                None => return Err(StoreError::dynamodb(&error)),
            }
        }
    }

    fn judge(&self, state: &State, delivery: &Delivery) -> Judgement {
        judge(state, &delivery.id, delivery.received_at, &delivery.fingerprint, self.settings.dedup_window)
    }

    /// Returns the state update to try, and the way in which the delivery is recorded if it succeeds.
    fn step(
        &self,
        delivery: &Delivery,
        scope: Scope,
        judged: Option<&(State, Judgement)>,
    ) -> Result<(Option<Update>, Recorded), StoreError> {
        let Content::Event(event) = &delivery.content else { return Ok((None, Recorded::Quarantined)) };
        let update = self.state_update(delivery, event, scope, judged).map_err(malformed)?;
        let recorded = match judged {
            Some((_, Judgement::Duplicate { of, .. } | Judgement::Counted { duplicate_of: Some(of) })) => {
                Recorded::Duplicate { of: *of }
            }
            _ => Recorded::Event,
        };
        Ok((Some(update), recorded))
    }

    fn state_update(
        &self,
        delivery: &Delivery,
        event: &Event,
        scope: Scope,
        judged: Option<&(State, Judgement)>,
    ) -> Result<Update, BuildError> {
        let (table, window) = (&self.settings.events_table, self.settings.dedup_window);
        match judged {
            None => state_update::newest(table, delivery, event, scope, window, None),
            Some((state, judgement)) => state_update::judged(table, delivery, event, scope, window, state, *judgement),
        }
    }

    async fn attempt(
        &self,
        delivery: &Delivery,
        duplicate_of: Option<&EventId>,
        step: Option<Update>,
        version: u16,
        replaced: Option<&[TransactWriteItem; 2]>,
    ) -> Result<Attempt, StoreError> {
        let put = Put::builder()
            .table_name(&self.settings.events_table)
            .set_item(Some(delivery.item(duplicate_of, self.settings.retention)))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(malformed)?;
        // The secrets of a duplicate are already stored with the delivery that it repeats.
        let sealed = delivery.sealed_item(self.settings.retention).filter(|_| duplicate_of.is_none());
        let sealed =
            sealed.map(|item| Put::builder().table_name(&self.settings.sealed_table).set_item(Some(item)).build());

        let mut items = vec![TransactWriteItem::builder().put(put).build()];
        items.extend(step.map(|update| TransactWriteItem::builder().update(update).build()));
        items.extend(replaced.into_iter().flatten().cloned());
        items.extend(sealed.transpose().map_err(malformed)?.map(|put| TransactWriteItem::builder().put(put).build()));
        // The replaced delivery may have come back, by a redrive of the same id. With the token of the write that replaced
        // it before, DynamoDB would report success without writing. Without our token, the SDK makes one for each call.
        let token = replaced.is_none().then(|| format!("{}{version:04x}", delivery.id.simple()));
        let write = self.client.transact_write_items().set_client_request_token(token).set_transact_items(Some(items));
        match write.send().await {
            Ok(_) => Ok(Attempt::Written),
            Err(error) => match error.as_service_error().and_then(refusal) {
                Some(attempt) => Ok(attempt),
                None => Err(StoreError::dynamodb(&error)),
            },
        }
    }
}

/// Waits for a random part of a pause, and lengthens it.
async fn wait(pause: &mut Duration) {
    tokio::time::sleep(pause.mul_f64(fastrand::f64())).await;
    *pause = longer(*pause);
}

fn longer(pause: Duration) -> Duration {
    LONGEST_PAUSE.min(pause * 2)
}

/// Returns the meaning of a refused write; `None` when neither another attempt nor a look at the items can help.
fn refusal(error: &TransactWriteItemsError) -> Option<Attempt> {
    match error {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            cancellation(cancelled.cancellation_reasons())
        }
        TransactWriteItemsError::TransactionInProgressException(_) => Some(Attempt::Contended),
        TransactWriteItemsError::IdempotentParameterMismatchException(_) => Some(Attempt::TokenInUse),
        other if other.code() == Some("ValidationException") && is_about_size(other.message()) => {
            Some(Attempt::TooLarge)
        }
        _ => None,
    }
}

/// Reads the reasons, one for each item in the order of the write: delivery, state, replaced items, sealed item.
fn cancellation(reasons: &[CancellationReason]) -> Option<Attempt> {
    let failed_condition = |at: usize| {
        let reason = reasons.get(at).filter(|reason| reason.code() == Some("ConditionalCheckFailed"))?;
        Some(Box::new(reason.item().cloned().unwrap_or_default()))
    };
    if let Some(delivery) = failed_condition(0) {
        return Some(Attempt::AlreadyThere(delivery));
    }
    if let Some(state) = failed_condition(1) {
        return Some(Attempt::StateDiffers(state));
    }
    // Without a replaced delivery this is the sealed item, which has no condition.
    if failed_condition(2).is_some() {
        return Some(Attempt::NothingToReplace);
    }
    let is = |codes: &[&str]| reasons.iter().any(|reason| reason.code().is_some_and(|code| codes.contains(&code)));
    if is(&["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"]) {
        return Some(Attempt::Contended);
    }
    let too_large =
        |reason: &CancellationReason| reason.code() == Some("ValidationError") && is_about_size(reason.message());
    reasons.iter().any(too_large).then_some(Attempt::TooLarge)
}

/// Returns whether another write had one of the items.
fn is_contended(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { return false };
    cancelled.cancellation_reasons().iter().any(|reason| reason.code() == Some("TransactionConflict"))
}

/// Returns the deletes of a quarantined delivery and of its bytes. The first is conditional on the item's existence.
fn deletes(settings: &Settings, id: &EventId, must_be_there: bool) -> Result<[TransactWriteItem; 2], BuildError> {
    let delete = |table: &str, condition: Option<&str>| {
        let delete = Delete::builder().table_name(table).set_key(Some(quarantined_key(id)));
        let delete = delete.set_condition_expression(condition.map(str::to_owned)).build()?;
        Ok::<_, BuildError>(TransactWriteItem::builder().delete(delete).build())
    };
    let there = must_be_there.then_some("attribute_exists(pk)");
    Ok([delete(&settings.events_table, there)?, delete(&settings.sealed_table, None)?])
}

/// Returns whether DynamoDB says "Item size to update has exceeded the maximum allowed size" or the like.
fn is_about_size(message: Option<&str>) -> bool {
    message.is_some_and(|message| message.contains("Item size"))
}

fn already_recorded(delivery: &Delivery, item: &Item) -> Result<Recorded, StoreError> {
    Ok(match (&delivery.content, StoredDelivery::from_item(item)?.duplicate_of) {
        (Content::Quarantined { .. }, _) => Recorded::Quarantined,
        (Content::Event(_), Some(of)) => Recorded::Duplicate { of },
        (Content::Event(_), None) => Recorded::Event,
    })
}

fn malformed(error: BuildError) -> StoreError {
    StoreError::DynamoDb(error.to_string())
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::{
        error::ErrorMetadata,
        types::{
            AttributeValue,
            error::{
                IdempotentParameterMismatchException, ResourceNotFoundException, TransactionCanceledException,
                TransactionInProgressException,
            },
        },
    };

    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses = std::iter::successors(Some(FIRST_PAUSE), |pause| Some(longer(*pause)));
        let millis: Vec<_> = pauses.take(6).map(|pause| pause.as_millis()).collect();
        assert_eq!(millis, [10, 20, 40, 80, 160, 160]);
    }

    /// Returns a refusal with a reason for each item, as DynamoDB gives them.
    fn cancelled(reasons: &[(&str, &str)]) -> TransactWriteItemsError {
        let reasons = reasons.iter().map(|(code, message)| {
            let item =
                (*code == "ConditionalCheckFailed").then(|| Item::from([("pk".into(), AttributeValue::S("a".into()))]));
            CancellationReason::builder().code(*code).message(*message).set_item(item).build()
        });
        let cancelled =
            TransactionCanceledException::builder().set_cancellation_reasons(Some(reasons.collect())).build();
        TransactWriteItemsError::TransactionCanceledException(cancelled)
    }

    #[test]
    fn a_refusal_by_the_condition_of_the_delivery_counts_before_that_of_the_state() {
        let both = cancelled(&[("ConditionalCheckFailed", ""), ("ConditionalCheckFailed", ""), ("None", "")]);
        assert!(matches!(refusal(&both), Some(Attempt::AlreadyThere(item)) if !item.is_empty()));
        let state = cancelled(&[("None", ""), ("ConditionalCheckFailed", "")]);
        assert!(matches!(refusal(&state), Some(Attempt::StateDiffers(item)) if !item.is_empty()));
        let gone = cancelled(&[("None", ""), ("None", ""), ("ConditionalCheckFailed", ""), ("None", "")]);
        assert!(matches!(refusal(&gone), Some(Attempt::NothingToReplace)));
    }

    #[test]
    fn a_conflict_with_another_write_and_throttling_are_tried_again() {
        for code in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"] {
            assert!(matches!(refusal(&cancelled(&[("None", ""), (code, "")])), Some(Attempt::Contended)), "{code}");
        }
        let in_progress = TransactionInProgressException::builder().build();
        let in_progress = TransactWriteItemsError::TransactionInProgressException(in_progress);
        assert!(matches!(refusal(&in_progress), Some(Attempt::Contended)));
    }

    #[test]
    fn a_token_used_before_with_other_content_is_replaced() {
        let mismatch = IdempotentParameterMismatchException::builder().build();
        let mismatch = TransactWriteItemsError::IdempotentParameterMismatchException(mismatch);
        assert!(matches!(refusal(&mismatch), Some(Attempt::TokenInUse)));
    }

    #[test]
    fn only_a_conflict_with_another_write_is_contention_for_the_items() {
        assert!(is_contended(&cancelled(&[("None", ""), ("TransactionConflict", "")])));
        assert!(!is_contended(&cancelled(&[("None", ""), ("ConditionalCheckFailed", "")])));
    }

    #[test]
    fn a_state_that_would_grow_too_large_is_told_from_other_faults() {
        let too_large = "Item size to update has exceeded the maximum allowed size";
        let refused = |code: &str, message: &str| {
            TransactWriteItemsError::generic(ErrorMetadata::builder().code(code).message(message).build())
        };
        assert!(matches!(refusal(&refused("ValidationException", too_large)), Some(Attempt::TooLarge)));
        assert!(refusal(&refused("ValidationException", "Invalid UpdateExpression")).is_none());
        assert!(refusal(&refused("AccessDeniedException", too_large)).is_none());
        let too_large = cancelled(&[("None", ""), ("ValidationError", too_large)]);
        assert!(matches!(refusal(&too_large), Some(Attempt::TooLarge)));
        let other = cancelled(&[("ValidationError", "One or more parameter values were invalid")]);
        assert!(refusal(&other).is_none());
        let no_table = ResourceNotFoundException::builder().build();
        assert!(refusal(&TransactWriteItemsError::ResourceNotFoundException(no_table)).is_none());
    }
}
