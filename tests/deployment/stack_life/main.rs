//! The deployment as a whole, emulated: the real `sam build` and `sam deploy` of the real template against MiniStack, an
//! emulator of AWS, with the release builds of the functions and the stand-in for the partner API. Everything listens on the
//! loopback interface; no AWS account is needed, and none is reached.
//!
//! `cargo test --workspace --test deployment -- --nocapture`
//!
//! It needs Python 3.10 or newer and takes some minutes, most of them for the release builds, so it runs only when it is named.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a failed step should end the test; it tells where it is"
)]

mod cloudwatch;
mod emulator;
mod functions;
mod http;
mod progress;
mod provider;
mod queues;
mod secrets;
mod stack;
mod steps;
mod tables;
mod tools;
mod world;

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt;
use world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_from_its_first_day_to_its_last() {
    let mut world = World::start().await;
    let lived = AssertUnwindSafe(live(&mut world)).catch_unwind().await;
    if let Err(failure) = lived {
        world.print_what_happened().await;
        resume_unwind(failure);
    }
}

async fn live(world: &mut World) {
    steps::deploy::comes_up_with_its_outputs(world).await;
    steps::registration::the_deployment_has_registered_the_webhook(world).await;
    steps::clients::with_wrong_credentials_the_provider_is_asked_once(world).await;
    steps::clients::that_were_there_before_are_imported(world).await;
    steps::hand_on::consumers_are_there(world).await;
    let recorded = steps::events::every_sample_is_recorded(world).await;
    steps::hand_on::a_recorded_event_is_with_every_consumer(world, &recorded).await;
    steps::hand_on::a_refused_event_is_tried_again_and_those_behind_it_wait(world).await;
    steps::hand_on::handing_on_is_looked_after(world, &recorded).await;
    steps::hand_on::a_replaced_secret_signs_beside_the_new_one(world).await;
    steps::hand_on::an_event_that_is_given_up_is_sent_anew(world).await;
    steps::hand_on::a_secret_that_signs_nothing_loses_nothing(world).await;
    steps::clients::a_withheld_event_is_rebuilt(world).await;
    steps::clients::an_incomplete_list_is_reported(world).await;
    steps::lines::a_parameter_brings_them(world).await;
    steps::lines::a_rebuilt_event_waits_for_the_next_pass(world).await;
    steps::lines::imported_lines_are_set_by_a_pass_and_a_foreign_webhook_stays(world).await;
    steps::lines::a_webhook_that_somebody_changes_is_reported(world).await;
    steps::lines::an_onboarding_event_sets_the_webhook_within_a_minute(world).await;
    steps::lines::a_refused_new_key_is_tried_in_each_pass(world).await;
    steps::lines::an_outage_of_the_provider_is_reported(world).await;
    steps::events::a_repetition_is_a_duplicate(world, &recorded).await;
    steps::events::bytes_that_are_no_text_are_quarantined(world).await;
    steps::refusals::others_are_refused(world).await;
    steps::deploy::a_parameter_changes_in_place(world, &recorded).await;
    steps::unlisted::a_slash_after_the_token_changes_nothing(world).await;
    steps::unlisted::a_new_address_of_the_provider_loses_nothing(world).await;
    steps::registration::the_schedule_repairs_a_changed_url(world).await;
    steps::registration::a_rotation_refuses_no_event(world).await;
    steps::commands::the_registration_is_looked_after(world).await;
    steps::registration::remember_token(world).await;
    steps::commands::commands_show_the_received_events(world, &recorded).await;
    steps::commands::the_quarantine_is_tried_again(world).await;
    steps::commands::the_inspector_shows_it(world, &recorded).await;
    steps::commands::the_doctor_finds_nothing(world).await;
    steps::readers::read_with_their_policy_and_no_more(world, &recorded).await;
    steps::registration::failures_are_reported(world).await;
    steps::outage::events_received_while_the_table_is_missing_are_recorded_later(world).await;
    steps::outage::an_unreadable_message_becomes_a_dead_letter(world).await;
    steps::commands::the_dead_letter_is_redriven(world).await;
    steps::signals::every_metric_that_is_watched_has_been_written(world).await;
    steps::signals::every_alarm_rings_and_is_in_the_runbook(world).await;
    steps::secrets::no_secret_is_in_a_log(world).await;
    steps::deploy::credentials_of_ones_own_are_read_and_left_alone(world).await;
    steps::delete::tables_and_queues_outlive_the_stack(world, &recorded).await;
    steps::deploy::credentials_of_ones_own_are_still_there(world).await;
    steps::newcomer::deploys_beside_a_live_webhook_as_documented(world).await;
}
