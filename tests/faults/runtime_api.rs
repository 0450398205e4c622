//! The stand-in for the Runtime API tells what a function is about.
#![allow(clippy::unwrap_used, reason = "a failed step should end the test")]

mod common;

use common::{World, call, send, update};
use emulators::faults::Point;
use futures_util::FutureExt;

#[tokio::test]
async fn a_function_is_idle_when_it_asks_for_an_event_and_not_while_it_handles_one() {
    let world = World::start().await;
    let receiver = world.receiver().await;
    assert_eq!(receiver.ready().now_or_never(), None, "its process has only just been started");
    let start_up = receiver.ready().await;
    assert!(receiver.idle().now_or_never().is_some());
    let held = world.to_dynamodb.hold(0, Point::After);
    let call = call(&update(1, 1));
    let handled = send(&receiver, &call);
    let looked_at = async {
        let hold = held.reached().await.unwrap();
        assert!(receiver.idle().now_or_never().is_none(), "it waits for DynamoDB");
        drop(hold);
    };
    let (answer, ()) = tokio::join!(handled, looked_at);
    assert_eq!(answer.status, Some(200));
    receiver.idle().await;
    assert_eq!(receiver.ready().await, start_up, "only the first time counts");
    receiver.kill().await;
    assert_eq!((receiver.process_id().await, receiver.idle().now_or_never()), (None, None));
}
