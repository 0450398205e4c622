//! A stack that is deleted during another run: afterwards the earlier URL is registered, or the one that somebody
//! else has set, and never ours.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use emulators::{
    faults::{Fault, Faults},
    partner::Call,
};
use serde_json::{Value, json};
use sync::{Answer, Limits, SyncError};

use crate::world::{FOREIGN, LIMITS, OURS, World};

const THIRD: &str = "https://third.example/in";
const HOUR: Duration = Duration::from_secs(3600);

/// Leases that end soon, because a run that stands still leaves its lease to expire.
const SHORT: Limits = Limits {
    partner: partner::Limits { connect: Duration::from_millis(500), call: Duration::from_millis(500) },
    lease_margin: Duration::from_millis(500),
    ..LIMITS
};

/// The run that the deletion meets.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Other {
    Create,
    Update,
    Rotate,
    Repair,
    Set,
}

/// The fate of the other run after the deletion.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    GoesOn,
    IsKilled,
}

/// A stack whose other run is about to begin; the earlier URL is [`FOREIGN`].
async fn stack_with(other: Other) -> (World, Value) {
    stack_in(World::start().await, other).await
}

async fn stack_in(mut world: World, other: Other) -> (World, Value) {
    world.partner.register(Some(FOREIGN));
    if other != Other::Create {
        world.send_request("Create", "true").await.0.unwrap();
        world.wait(HOUR);
    }
    let event = match other {
        Other::Create => world.request("Create", "true"),
        Other::Update => {
            world.partner.register(Some(THIRD));
            world.request("Update", "true")
        }
        Other::Rotate => json!({ "action": "rotate" }),
        Other::Repair => {
            world.partner.register(Some(THIRD));
            json!({ "action": "sync" })
        }
        Other::Set => {
            world.partner.register(Some(THIRD));
            json!({ "action": "set", "url": OURS })
        }
    };
    (world, event)
}

/// Lets a future run until it waits for the nth time. Returns its output if it ends before.
async fn run_until_it_waits<F: Future>(future: &mut Pin<Box<F>>, times: usize) -> Option<F::Output> {
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn delete(world: &World) -> Result<Answer, SyncError> {
    world.invoke_at(&world.process(LIMITS), world.request("Delete", "true")).await
}

fn check_that_ours_is_gone(world: &World, other: Other, at: &str) {
    let registered = world.partner.registered().unwrap();
    // A deletion does not replace the URL of somebody else.
    let third = matches!(other, Other::Update | Other::Repair | Other::Set) && registered == THIRD;
    assert!(registered == FOREIGN || third, "{other:?} {at}: {registered}");
}

/// Deletes the stack at each point at which the other run waits. Returns the number of these points.
async fn deleted_at_each_point(other: Other, end: End) -> usize {
    for point in 0.. {
        let (world, event) = stack_with(other).await;
        let process = world.process(SHORT);
        let mut run = Box::pin(world.invoke_at(&process, event.clone()));
        let ended = run_until_it_waits(&mut run, point).await;
        let at = format!("{end:?} {point}");
        let done = ended.is_some();
        if end == End::IsKilled && !done {
            drop(run);
            delete(&world).await.unwrap();
        } else {
            delete(&world).await.unwrap();
            if !done {
                // The run succeeds if it had nothing left to set.
                let _ = run.await;
            }
        }
        check_that_ours_is_gone(&world, other, &at);
        if done {
            return point;
        }
        // Late calls: a scheduled run, and the request itself.
        assert_eq!(world.cause("sync").await, "StackDeleted", "{other:?} {at}");
        assert_eq!(world.cause("rotate").await, "StackDeleted", "{other:?} {at}");
        if matches!(other, Other::Create | Other::Update) {
            assert_eq!(world.invoke(event).await.unwrap_err().cause(), "StackDeleted", "{other:?} {at}");
        }
        check_that_ours_is_gone(&world, other, &at);
    }
    unreachable!("the run ends")
}

#[tokio::test]
async fn a_stack_deleted_at_any_point_of_its_creation_leaves_the_earlier_url() {
    assert!(deleted_at_each_point(Other::Create, End::GoesOn).await > 10);
}

#[tokio::test]
async fn a_creation_killed_at_any_point_is_undone_by_the_deletion() {
    assert!(deleted_at_each_point(Other::Create, End::IsKilled).await > 10);
}

#[tokio::test]
async fn a_stack_deleted_at_any_point_of_an_update_leaves_the_earlier_url() {
    assert!(deleted_at_each_point(Other::Update, End::GoesOn).await > 10);
}

#[tokio::test]
async fn a_stack_deleted_at_any_point_of_a_rotation_leaves_the_earlier_url() {
    for end in [End::GoesOn, End::IsKilled] {
        assert!(deleted_at_each_point(Other::Rotate, end).await > 10);
    }
}

#[tokio::test]
async fn a_stack_deleted_at_any_point_of_a_scheduled_repair_leaves_the_earlier_url() {
    for end in [End::GoesOn, End::IsKilled] {
        assert!(deleted_at_each_point(Other::Repair, end).await > 10);
    }
}

#[tokio::test]
async fn a_stack_deleted_at_any_point_of_a_set_of_ours_leaves_the_earlier_url() {
    assert!(deleted_at_each_point(Other::Set, End::GoesOn).await > 10);
}

#[tokio::test]
async fn a_set_that_the_provider_carries_out_only_during_the_deletion_is_undone() {
    for other in [Other::Create, Other::Rotate] {
        let mut world = World::start().await;
        let to_partner = Faults::before(world.partner.url().trim_end_matches("/api")).await.unwrap();
        let api = format!("{}/api", to_partner.url());
        world.restart_with_api_at(&api);
        let (world, event) = stack_in(world, other).await;
        // The access token and the registered URL, then the set: its caller no longer waits, but its lease has not ended.
        to_partner.times(2, Fault::None);
        to_partner.times(1, Fault::CarryOutAfter(SHORT.partner.call * 2));
        world.partner.take_calls();
        let run = world.invoke_at(&world.process_with_api_at(&api, SHORT), event).await;
        assert_eq!(run.unwrap_err().cause(), "PartnerUnreachable", "{other:?}");
        assert!(!world.partner.calls().contains(&Call::Set), "{other:?}");
        world.invoke(world.request("Delete", "true")).await.unwrap();
        while !world.partner.calls().contains(&Call::Set) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(world.partner.registered().as_deref(), Some(FOREIGN), "{other:?}");
    }
}

#[tokio::test]
async fn a_run_sets_nothing_when_writing_its_lease_took_too_long_and_leaves_no_lease() {
    let mut world = World::start().await;
    world.partner.register(Some(FOREIGN));
    world.restart(Limits { lease_margin: Duration::ZERO, ..LIMITS });
    assert_eq!(world.cause("sync").await, "OutOfTime");
    assert_eq!(world.partner.calls(), [Call::AccessToken, Call::Get]);
    assert!(world.registration().await.set_leases.is_empty());
    world.restart(LIMITS);
    assert!(world.run("sync").await.unwrap().verified);
    assert!(world.registration().await.set_leases.is_empty());
}

#[tokio::test]
async fn a_deletion_killed_at_any_point_is_completed_when_it_is_retried() {
    for point in 0.. {
        let (world, _) = stack_with(Other::Rotate).await;
        let mut killed = Box::pin(delete(&world));
        let ended = run_until_it_waits(&mut killed, point).await;
        drop(killed);
        delete(&world).await.unwrap();
        assert_eq!(world.partner.registered().as_deref(), Some(FOREIGN), "{point}");
        if ended.is_some() {
            return assert!(point > 5);
        }
    }
}

#[tokio::test]
async fn a_request_that_comes_after_the_deletion_of_its_stack_registers_nothing() {
    let (mut world, create) = stack_with(Other::Create).await;
    delete(&world).await.unwrap();
    for _ in 0..2 {
        assert_eq!(world.invoke(create.clone()).await.unwrap_err().cause(), "StackDeleted");
        world.wait(Duration::from_secs(60));
    }
    assert_eq!(world.partner.registered().as_deref(), Some(FOREIGN));
    assert_eq!(world.partner.calls(), []);
    world.wait(Duration::from_secs(180));
    world.invoke(create).await.unwrap();
    assert_eq!(world.partner.registered().as_deref(), Some(OURS), "much later it counts as a new request");
}

#[tokio::test]
async fn another_stack_with_the_same_tables_starts_over() {
    for register in ["true", "false"] {
        let (world, create) = stack_with(Other::Create).await;
        world.invoke(create).await.unwrap();
        delete(&world).await.unwrap();
        world.partner.register(Some(THIRD));
        assert_eq!(world.cause("sync").await, "StackDeleted");

        let mut other = world.request("Create", register);
        other["StackId"] = "arn:aws:cloudformation:us-east-1:123456789012:stack/hooks/2".into();
        world.invoke(other.clone()).await.unwrap();
        world.run("sync").await.unwrap();
        assert_eq!(world.partner.registered().as_deref(), Some(OURS), "{register}");
        other["RequestType"] = "Delete".into();
        other["ResourceProperties"]["RegisterOnDeploy"] = "true".into();
        world.invoke(other).await.unwrap();
        assert_eq!(
            world.partner.registered().as_deref(),
            Some(THIRD),
            "the URL before the second stack, not the first"
        );
    }
}

#[tokio::test]
async fn a_stack_without_credentials_yet_is_registered_by_the_schedule_also_after_the_deletion_of_another() {
    let (world, create) = stack_with(Other::Create).await;
    world.invoke(create).await.unwrap();
    delete(&world).await.unwrap();
    let credentials = world.secrets.values("partner").remove(0);
    world.secrets.put("partner", "{}");
    let mut other = world.request("Create", "true");
    other["StackId"] = "arn:aws:cloudformation:us-east-1:123456789012:stack/hooks/2".into();
    world.invoke(other).await.unwrap();
    world.secrets.put("partner", &credentials);
    assert!(world.run("sync").await.unwrap().verified);
}

#[tokio::test]
async fn our_address_with_a_token_that_is_no_longer_accepted_is_replaced_too() {
    let (mut world, _) = stack_with(Other::Rotate).await;
    world.run("rotate").await.unwrap();
    world.partner.register(Some(OURS));
    world.wait(HOUR * 48);
    delete(&world).await.unwrap();
    assert_eq!(world.partner.registered().as_deref(), Some(FOREIGN));
}

#[tokio::test]
async fn a_person_can_still_set_another_url_while_the_stack_is_being_deleted() {
    let (world, _) = stack_with(Other::Rotate).await;
    delete(&world).await.unwrap();
    assert!(world.send(json!({ "action": "set", "url": THIRD })).await.unwrap().verified);
    let refused = world.send(json!({ "action": "set", "url": OURS })).await.unwrap_err();
    assert_eq!(refused.cause(), "StackDeleted");
    let remedy = "if the deletion of the stack has failed, finish it, and then deploy the stack again";
    assert!(refused.to_string().contains(remedy), "CloudFormation updates no such stack: {refused}");
    assert!(!world.run("get").await.unwrap().verified);
}
