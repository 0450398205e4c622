//! The frame of every page.

use shared::text::plain;

use super::{
    banner::Banner,
    source::{Notice, Shown, Source},
};

/// The section of the inspector that a page is in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Deliveries,
    Lines,
    States,
    Forwarding,
    Registration,
}

/// The frame of a page.
pub struct Layout {
    pub part: Part,
    /// The stack's name; `None` of the local run.
    pub stack: Option<String>,
    /// True when there is a forwarder.
    pub forwards: bool,
    pub notice: Option<Notice>,
    /// The receiver of the events, if that is not our webhook.
    pub banner: Option<Banner>,
}

impl Layout {
    /// Returns the frame of a page, with the notice that was not shown yet. It reads the registration; the page Registration says why that
    /// fails.
    pub async fn of(shown: &Shown, part: Part) -> Self {
        let banner = Banner::read(shown).await.unwrap_or_default();
        let notice = shown.notice.lock().ok().and_then(|mut notice| notice.take());
        let Source { stack, forward_records, .. } = &shown.source;
        Self { part, stack: stack.as_deref().map(plain), forwards: forward_records.is_some(), notice, banner }
    }
}
