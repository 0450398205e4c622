//! The registration pass: from an action or a stack's request down to the calls of the provider.
//!
//! `keep` is the main path, and `plan` its decision without the rest; `set` and `restore` are a person's and CloudFormation's.
//! They share the steps in `run`. `compare`, `decide` and `registration_transitions` are pure.

mod compare;
mod decide;
mod keep;
mod ledger_buffer;
mod registration_transitions;
mod restore;
mod run;
mod set;

pub(crate) use ledger_buffer::Summary;
pub(crate) use run::Run;

use crate::{
    action::Action,
    error::SyncError,
    guard::guarded,
    invocation::{Clock, Invocation},
    our_urls::OurUrls,
    registration::decide::Intent,
    report::{Report, Resolved},
    resource_request::{ResourceEvent, ResourceRequest},
    services::Services,
};

/// Carries out an action of a person or of the schedule.
pub(crate) async fn act(
    services: &Services,
    action: Action,
    invocation: &Invocation,
    clock: Clock,
    summary: &mut Summary,
) -> Result<Report, SyncError> {
    let pass = Pass { services, action: action.name(), invocation, clock };
    match action {
        Action::Get => pass.run(summary, async |run, ours| run.get(ours?).await).await,
        Action::Plan => pass.run(summary, async |run, ours| run.plan(ours?).await).await,
        Action::Sync => pass.run(summary, async |run, ours| run.keep(Intent::Sync, ours?).await).await,
        Action::Rotate => pass.run(summary, async |run, ours| run.keep(Intent::Rotate, ours?).await).await,
        Action::Set(url) => pass.run(summary, async |run, ours| run.set(url, ours?).await).await,
    }
}

/// Carries out a request of CloudFormation.
pub(crate) async fn answer_stack(
    services: &Services,
    event: &ResourceEvent,
    invocation: &Invocation,
    clock: Clock,
    summary: &mut Summary,
) -> Result<Resolved, SyncError> {
    let pass = |action| Pass { services, action, invocation, clock };
    let stack_id = &event.stack_id;
    match event.request {
        ResourceRequest::Register => {
            pass("register").run(summary, async |run, ours| run.register_for_stack(stack_id, ours).await).await
        }
        ResourceRequest::DeployOnly => {
            pass("deploy").run(summary, async |run, _| run.admit(stack_id).await).await?;
            Ok(Resolved::without_asking("left_alone"))
        }
        ResourceRequest::Restore => {
            pass("restore").run(summary, async |run, ours| run.restore_for_stack(stack_id, ours).await).await
        }
        ResourceRequest::LeaveAlone => Ok(Resolved::without_asking("left_alone")),
    }
}

/// The parts of an action's run.
struct Pass<'a> {
    services: &'a Services,
    action: &'static str,
    invocation: &'a Invocation,
    clock: Clock,
}

impl<'a> Pass<'a> {
    /// Runs the steps of an action within the time of the invocation, and records how they ended. Our URLs are read at the same
    /// time as the state; steps that do not need them do not fail when they cannot be read.
    async fn run<T>(
        &self,
        summary: &mut Summary,
        steps: impl AsyncFnOnce(&mut Run<'a>, Result<OurUrls, SyncError>) -> Result<T, SyncError>,
    ) -> Result<T, SyncError> {
        let (run, ours) = tokio::join!(
            Run::open(self.services, self.action, self.clock, self.invocation.random),
            self.guarded(self.services.secrets.our_urls()),
        );
        let mut run = run?;
        let result = self.guarded(steps(&mut run, ours)).await;
        run.close(&result, summary).await;
        result
    }

    async fn guarded<T>(&self, steps: impl Future<Output = Result<T, SyncError>>) -> Result<T, SyncError> {
        let left = self.invocation.for_the_run().saturating_sub(self.clock.elapsed());
        guarded(left, steps).await
    }
}
