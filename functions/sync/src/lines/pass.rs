//! A pass reads the lines and their records, then checks one line after another while there is time.
//! A check reads the registered URL. Before it sets another one, it records both. Only one run at a time can write the record, so only one
//! of two runs goes on to set. If that run is killed, the next one finds the URL among ours.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use partner::{LineApi, LineApiError, LineSettings, LineWebhook};
use shared::{Entity, EventId, Kind, Secret, Timestamp};
use store::{LineAction, LineChange, LineRecord, LineStatus, PAGE, SealedKey, State, StoreError};

use crate::{
    action::{BadRequest, LinesRequest, PassMode},
    config::{LineMode, LinesConfig},
    error::SyncError,
    inventory::InventoryServices,
    invocation::Clock,
    left_out::LeftOut,
    line_url::{LineUrl, NoLineUrl},
    lines::{
        decide::{self, Caller, Check, Finding, NOT_SHOWN, Wanted},
        pacer::Pacer,
        report::{LineChanged, LinesOutcome, LinesReport, NotLive, log_changed},
        services::LinesServices,
    },
};

/// Maximum number of lines that are checked at a time.
const AT_ONCE: usize = 2;
/// Time between two calls of the provider.
const INTERVAL: Duration = Duration::from_millis(200);
/// Number of checks in a row after which the pass ends, if all got no answer, or all found that a key that worked until now is refused. The
/// fault is the provider's then, not a line's.
const MAX_FAILED: usize = 5;
/// Maximum time from one check of a line to the next.
const DAY: Duration = Duration::from_hours(24);
/// Time that a check needs beside its calls to the provider.
const MARGIN: Duration = Duration::from_secs(4);

/// One pass.
pub(crate) struct LinesPass<'a> {
    pub(crate) tables: &'a InventoryServices,
    pub(crate) services: &'a LinesServices,
    pub(crate) request: &'a LinesRequest,
    pub(crate) clock: Clock,
    /// Time that the run may take.
    pub(crate) time: Duration,
    pub(crate) random: [u8; 8],
}

/// The lines of a pass.
#[derive(Default)]
struct Lines {
    lines: Vec<Line>,
    records: BTreeMap<Entity, LineRecord>,
    /// The lines of which an item cannot be read. They are not checked.
    unreadable: BTreeSet<Entity>,
}

/// A line, as its state has it.
struct Line {
    entity: Entity,
    /// Time of its first event.
    known_since: Timestamp,
    /// Its number; `None` when the entity's name is not made of digits alone.
    number: Option<String>,
    reference: Option<String>,
    /// The event that set the reference.
    referenced_by: Option<EventId>,
}

/// The tools of the checks of one pass.
struct Checker<'a> {
    pass: &'a LinesPass<'a>,
    config: &'a LinesConfig,
    api: &'a LineApi,
    pacer: Pacer,
    /// Number of checks in a row, at the end, without an answer.
    failed: Cell<usize>,
    /// Number of refusals in a row, at the end, of keys that had worked until then.
    refused: Cell<usize>,
    /// Number of lines that the provider was asked about.
    checked: Cell<usize>,
}

/// The end of a check.
enum Checked {
    /// The record is still right.
    Unchanged,
    /// The check could not be finished; nothing was written.
    Left(Entity),
    /// An item of the line cannot be read.
    Unreadable(Entity),
    /// The record now, the changes since, and the URL that a plan would set, masked.
    Done { record: Box<LineRecord>, changes: Vec<LineChange>, would_set: Option<String> },
}

impl LinesPass<'_> {
    pub(crate) async fn run(&self) -> Result<LinesReport, SyncError> {
        let webhook = self.services.webhook.as_ref().map_err(|fault| SyncError::LinesMisconfigured(fault.clone()))?;
        let Lines { lines, mut records, mut unreadable } = match &self.request.entity {
            Some(entity) => self.one(entity).await?,
            None => self.all().await?,
        };
        let without_state = unreadable.iter().filter(|entity| lines.iter().all(|line| line.entity != **entity)).count();
        let mut report = LinesReport {
            action: "lines",
            outcome: LinesOutcome::UpToDate,
            lines: lines.len() + without_state,
            counts: BTreeMap::new(),
            checked: 0,
            changed: Vec::new(),
            not_live: Vec::new(),
            left_out: LeftOut::new(),
            left: 0,
            cause: None,
            alarming: None,
            foreign: 0,
            drifted: 0,
            set: 0,
        };
        let Some((config, api)) = webhook else {
            if !lines.is_empty() {
                report.counts.insert(LineStatus::Off.name(), lines.len());
            }
            return Ok(report);
        };
        let checker = Checker {
            pass: self,
            config,
            api,
            pacer: Pacer::new(INTERVAL),
            failed: Cell::new(0),
            refused: Cell::new(0),
            checked: Cell::new(0),
        };
        let queue = in_order(lines.iter().filter(|line| !unreadable.contains(&line.entity)), &records);
        let mut left = BTreeSet::new();
        let checks = stream::iter(queue).map(async |line| {
            if checker.is_over() {
                return Ok(Checked::Unchanged);
            }
            match checker.check(line, records.get(&line.entity).cloned()).await {
                Err(SyncError::StoreFailed(error)) => leave(error).map(Checked::Unreadable),
                checked => checked,
            }
        });
        let checked: Vec<Checked> = checks.buffer_unordered(AT_ONCE).try_collect().await?;
        for checked in checked {
            let (record, changes, would_set) = match checked {
                Checked::Unchanged => continue,
                Checked::Left(line) => {
                    left.insert(line);
                    continue;
                }
                Checked::Unreadable(line) => {
                    unreadable.insert(line);
                    continue;
                }
                Checked::Done { record, changes, would_set } => (record, changes, would_set),
            };
            report.drifted += changes.iter().filter(|change| is_drift(change)).count();
            match would_set {
                Some(url) => report.changed.push(LineChanged {
                    entity: record.entity.clone(),
                    from: Some(record.status.name()),
                    to: LineStatus::Live.name(),
                    url: Some(url),
                    action: LineAction::Set.name(),
                }),
                None => report.changed.extend(changes.iter().map(|change| LineChanged::new(&record.entity, change))),
            }
            if record.status == LineStatus::Unreachable {
                left.insert(record.entity.clone());
            }
            records.insert(record.entity.clone(), *record);
        }
        let now = self.clock.now();
        let overdue = lines.iter().filter(|line| is_overdue(line, records.get(&line.entity), now));
        left.extend(overdue.map(|line| line.entity.clone()));
        left.extend(unreadable.iter().cloned());
        report.left = left.len();
        report.checked = checker.checked.get();
        report.cause = checker.trouble().map(str::to_owned);
        for record in lines.iter().filter_map(|line| records.get(&line.entity)) {
            *report.counts.entry(record.status.name()).or_default() += 1;
            if record.status != LineStatus::Live {
                report.not_live.push(NotLive::new(record));
            }
        }
        if self.request.entity.is_none() && !self.is_plan() {
            let counts = |line: &&Line| {
                unreadable.contains(&line.entity) || is_alarming(line, records.get(&line.entity), config.mode, now)
            };
            let (alarming, others): (Vec<&Line>, Vec<&Line>) = lines.iter().partition(counts);
            let others = others.into_iter().filter_map(|line| records.get(&line.entity));
            report.foreign = others.filter(|record| record.status == LineStatus::Foreign).count();
            report.alarming = Some(alarming.len() + without_state);
        }
        report.set = report.changed.iter().filter(|changed| changed.action == LineAction::Set.name()).count();
        report.outcome = outcome(&report, self.is_plan());
        if !self.is_plan() {
            report.changed.iter().for_each(log_changed);
        }
        Ok(report)
    }

    fn is_plan(&self) -> bool {
        self.request.mode == PassMode::Plan
    }

    /// Returns the requested line, even if it is marked as gone: an event of it may just have arrived.
    async fn one(&self, entity: &Entity) -> Result<Lines, SyncError> {
        let (state, record) = tokio::join!(self.tables.reader.state(entity), self.services.lines.get(entity));
        let line = state?.and_then(Line::of).ok_or(BadRequest::UnknownLine)?;
        let records = record?.map(|record| (entity.clone(), record)).into_iter().collect();
        Ok(Lines { lines: vec![line], records, ..Lines::default() })
    }

    /// Returns all lines that are not gone at the provider.
    async fn all(&self) -> Result<Lines, SyncError> {
        let (_, tracked) = self.tables.inventory.read().await?;
        let mut states = pin!(self.tables.reader.states(&Kind::Whatsapp, None, PAGE));
        // By entity: one whose update code changes while the index is read may come twice.
        let mut lines = BTreeMap::new();
        let (mut records, mut unreadable) = (BTreeMap::new(), BTreeSet::new());
        while let Some(state) = states.next().await {
            let state = match state {
                Ok(state) => state,
                Err(error) => {
                    unreadable.insert(leave(error)?);
                    continue;
                }
            };
            match tracked.get(&state.entity) {
                Some(Ok(tracked)) if tracked.gone_since(Some(state.last_seen)).is_some() => continue,
                Some(Err(error)) => {
                    log_left(error);
                    unreadable.insert(state.entity.clone());
                }
                _ => {}
            }
            lines.extend(Line::of(state).map(|line| (line.entity.clone(), line)));
        }
        let entities: Vec<Entity> = lines.keys().cloned().collect();
        for (entity, record) in self.services.lines.get_many(&entities).await? {
            match record {
                Ok(record) => _ = records.insert(entity, record),
                Err(error) => _ = unreadable.insert(leave(error)?),
            }
        }
        Ok(Lines { lines: lines.into_values().collect(), records, unreadable })
    }
}

impl Line {
    fn of(state: State) -> Option<Self> {
        let name = state.entity.as_str().strip_prefix("whatsapp#").filter(|_| state.entity.is_whole())?;
        let number = name.bytes().all(|byte| byte.is_ascii_digit()).then(|| name.to_owned());
        let reference = state.reference().map(str::to_owned);
        let referenced_by = reference.as_ref().and_then(|_| state.set_by("whatsapp_reference")).copied();
        Some(Self { known_since: state.first_seen, entity: state.entity, number, reference, referenced_by })
    }
}

impl Checker<'_> {
    /// Returns whether no further line can be checked.
    fn is_over(&self) -> bool {
        self.trouble().is_some() || !self.has_time_for(self.pass.services.limits.call + MARGIN)
    }

    /// Returns the provider's fault for which the pass ends, if there is one.
    fn trouble(&self) -> Option<&'static str> {
        if self.failed.get() >= MAX_FAILED {
            Some("the provider did not answer several checks in a row")
        } else if self.refused.get() >= MAX_FAILED {
            Some("the provider refused several keys in a row that it had accepted until then")
        } else {
            None
        }
    }

    fn has_time_for(&self, step: Duration) -> bool {
        self.pass.clock.elapsed() + step <= self.pass.time
    }

    async fn check(&self, line: &Line, record: Option<LineRecord>) -> Result<Checked, SyncError> {
        let LinesPass { services, tables, .. } = self.pass;
        let Some(number) = &line.number else { return self.note(line, record, Finding::NotANumber, None).await };
        let sealed = tables.sealed.api_key(&line.entity).await?;
        let now = self.pass.clock.now();
        let Some(sealed) = sealed else {
            return self.note(line, record, Finding::Status(LineStatus::NoKey), None).await;
        };
        let key = tables.fingerprint_key.fingerprint(sealed.api_key.expose().as_bytes()).to_string();
        let caller = match self.pass.request {
            LinesRequest { again: true, .. } => Caller::Again,
            LinesRequest { entity: Some(_), .. } => Caller::OneLine,
            LinesRequest { entity: None, .. } => Caller::Pass,
        };
        if let Some(status) = decide::without_asking(record.as_ref(), &key, sealed.received_at, now, caller) {
            return self.note(line, record, Finding::Status(status), Some(key)).await;
        }
        let Some(url) = self.url(line, number, &sealed).await? else {
            return Ok(Checked::Left(line.entity.clone()));
        };
        let wanted = Wanted {
            url: url.map_err(|cause| cause.to_string()),
            retry: self.config.retry,
            read_status: self.config.read_status,
            mode: self.config.mode,
        };
        let record = record.unwrap_or_else(|| LineRecord::new(line.entity.clone(), LineStatus::Unreachable, now));
        self.checked.set(self.checked.get() + 1);
        let (found, webhook) = self.look(number, &sealed.api_key, &wanted, &record.our_urls, None).await;
        match &found {
            Finding::Webhook { .. } => self.refused.set(0),
            // One that was refused before tells nothing new.
            Finding::Status(LineStatus::WrongKey)
                if record.concluded != Some(LineStatus::WrongKey) && decide::has_worked(&record, &key) =>
            {
                self.refused.set(self.refused.get() + 1);
            }
            _ => {}
        }
        let fingerprint =
            wanted.url.as_ref().ok().map(|url| decide::url_fingerprint(url.url(), &tables.fingerprint_key));
        let check = |key| Check {
            now: self.pass.clock.now(),
            id: self.id(),
            key: Some(key),
            url: fingerprint.clone(),
            known_since: Some(sealed.received_at),
        };
        let (found_record, found_change) = decide::next(record.clone(), &found, false, &check(key.clone()));
        let to_set = match (&found, &webhook) {
            (Finding::Webhook { standing, .. }, Some(webhook)) => wanted.to_set(*standing).map(|url| (url, webhook)),
            _ => None,
        };
        let (Some((url, webhook)), Some(fingerprint)) = (to_set, &fingerprint) else {
            return self.finish(found_record, found_change, &record).await;
        };
        let is_leased = decide::is_leased_to_another_url(&record, fingerprint, self.pass.clock.now());
        // To set and to read back.
        let set_takes = services.limits.call * 2 + MARGIN;
        if is_leased || !self.has_time_for(set_takes) {
            return Ok(Checked::Left(record.entity));
        }
        // The index that the lines come from may be behind, and a URL with the reference of a former client would be wrong.
        let state = tables.reader.state(&line.entity).await?;
        if state.and_then(Line::of).is_none_or(|now| now.reference != line.reference) {
            return Ok(Checked::Left(record.entity));
        }
        if self.pass.is_plan() {
            let would_set = Some(url.to_string());
            return Ok(Checked::Done { record: Box::new(found_record), changes: Vec::new(), would_set });
        }
        let until = self.pass.clock.now().plus(set_takes);
        let leased = decide::about_to_set(found_record, fingerprint.clone(), until);
        let leased = match services.lines.write(&leased, found_change.as_ref()).await {
            Ok(leased) => leased,
            Err(StoreError::Conflict) => return self.of_another_run(&record).await,
            Err(error) => return Err(error.into()),
        };
        let settings = LineSettings { url: url.url().clone(), retry: wanted.retry, read_status: wanted.read_status };
        self.pacer.turn().await;
        let set = self.api.set_webhook(number, &sealed.api_key, &settings, webhook).await;
        // Only the URL read back counts, whatever the answer to the set.
        let fault = set.err().map_or_else(|| NOT_SHOWN.to_owned(), |error| error.to_string());
        let (finding, after) = self.look(number, &sealed.api_key, &wanted, &leased.our_urls, Some(fault)).await;
        let changed = after.map(|after| after.other_settings_unlike(webhook)).unwrap_or_default();
        let finding = finding.with_changed_settings(&changed);
        let (next, change) = decide::next(leased.clone(), &finding, true, &check(key));
        let mut checked = self.finish(next, change, &leased).await?;
        if let Checked::Done { changes, .. } = &mut checked {
            changes.splice(0..0, found_change);
        }
        Ok(checked)
    }

    /// Returns the URL to register for a line; `None` when its reference has changed since the lines were listed. A reference from before
    /// the line's key has changed may be a former client's.
    async fn url(
        &self,
        line: &Line,
        number: &str,
        key: &SealedKey,
    ) -> Result<Option<Result<LineUrl, NoLineUrl>>, SyncError> {
        let (url, tables) = (&self.config.url, self.pass.tables);
        if url.needs_reference()
            && let Some(by) = line.referenced_by.filter(|by| *by < key.id)
            && let Some(changed) = tables.sealed.key_changed_by(&line.entity, by).await?
        {
            // The event with the key may have come after the lines were listed, and may have brought a reference.
            let Some(now) = tables.reader.state(&line.entity).await?.and_then(Line::of) else { return Ok(None) };
            if now.reference != line.reference {
                return Ok(None);
            }
            if now.referenced_by.is_some_and(|by| by < changed) {
                return Ok(Some(Err(NoLineUrl::EarlierReference)));
            }
        }
        Ok(Some(url.url(number, line.reference.as_deref())))
    }

    /// Gets the webhook of a line. `fault` is the fault of the setting before, if our URL is not registered.
    async fn look(
        &self,
        number: &str,
        key: &Secret,
        wanted: &Wanted,
        our_urls: &[String],
        fault: Option<String>,
    ) -> (Finding, Option<LineWebhook>) {
        self.pacer.turn().await;
        let got = self.api.get_webhook(number, key).await;
        let is_outage = matches!(&got, Err(LineApiError::Failed(error)) if error.is_outage());
        self.failed.set(if is_outage { self.failed.get() + 1 } else { 0 });
        match got {
            Ok(webhook) => {
                let standing = wanted.standing(&webhook, our_urls, &self.pass.tables.fingerprint_key);
                (wanted.finding(&webhook, standing, fault), Some(webhook))
            }
            Err(LineApiError::WrongKey) => (Finding::Status(LineStatus::WrongKey), None),
            Err(LineApiError::UnknownNumber) => (Finding::Status(LineStatus::UnknownNumber), None),
            Err(LineApiError::Failed(error)) => (Finding::Failed(error.to_string()), None),
        }
    }

    /// Records a finding that is known without asking the provider, if its status is new.
    async fn note(
        &self,
        line: &Line,
        record: Option<LineRecord>,
        finding: Finding,
        key: Option<String>,
    ) -> Result<Checked, SyncError> {
        let (now, status) = (self.pass.clock.now(), finding.status());
        let is_new = record.as_ref().is_none_or(|record| record.status != status);
        let record = record.unwrap_or_else(|| LineRecord::new(line.entity.clone(), status, now));
        if !is_new {
            return Ok(Checked::Unchanged);
        }
        let check = Check { now, id: self.id(), key, url: None, known_since: None };
        let (next, change) = decide::next(record.clone(), &finding, false, &check);
        // The provider was not asked.
        let next = LineRecord { checked_at: record.checked_at, ..next };
        self.finish(next, change, &record).await
    }

    /// Writes the record of a check with its change. If another run has changed the record since, returns that run's record.
    async fn finish(
        &self,
        next: LineRecord,
        change: Option<LineChange>,
        before: &LineRecord,
    ) -> Result<Checked, SyncError> {
        let written =
            if self.pass.is_plan() { Ok(next) } else { self.pass.services.lines.write(&next, change.as_ref()).await };
        match written {
            Ok(record) => {
                let changes = change.into_iter().collect();
                Ok(Checked::Done { record: Box::new(record), changes, would_set: None })
            }
            Err(StoreError::Conflict) => self.of_another_run(before).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the record that another run has written at the same time.
    async fn of_another_run(&self, before: &LineRecord) -> Result<Checked, SyncError> {
        let record = self.pass.services.lines.get(&before.entity).await?;
        let record = record.unwrap_or_else(|| before.clone());
        Ok(Checked::Done { record: Box::new(record), changes: Vec::new(), would_set: None })
    }

    fn id(&self) -> EventId {
        EventId::new(self.pass.clock.now(), self.pass.random)
    }
}

/// Returns the lines in the order of their checks: those that were never checked, then the oldest check first.
fn in_order<'a>(lines: impl Iterator<Item = &'a Line>, records: &BTreeMap<Entity, LineRecord>) -> Vec<&'a Line> {
    let mut lines: Vec<&Line> = lines.collect();
    lines.sort_by_key(|line| records.get(&line.entity).map(|record| record.attempted_at));
    lines
}

/// Returns whether a line was never checked, or is to be checked again and was not for a day.
fn is_overdue(line: &Line, record: Option<&LineRecord>, now: Timestamp) -> bool {
    record.is_none_or(|record| now.since(record.attempted_at) > DAY && is_asked_about(line, record))
}

/// Returns whether the passes ask the provider about a line with this record again.
fn is_asked_about(line: &Line, record: &LineRecord) -> bool {
    match record.status {
        LineStatus::NoKey => false,
        _ if line.number.is_none() => false,
        LineStatus::WrongKey => record.key.as_ref().is_some_and(|key| decide::has_worked(record, key)),
        _ => true,
    }
}

/// Leaves a line of which an item cannot be read, and returns the item's partition key. Any other error ends the pass.
fn leave(error: StoreError) -> Result<Entity, SyncError> {
    let StoreError::Corrupt { pk, .. } = &error else { return Err(error.into()) };
    log_left(&error);
    Ok(Entity::named(pk.clone()))
}

fn log_left(error: &StoreError) {
    tracing::error!(%error, "a line is left, because an item of it cannot be read");
}

/// Returns whether somebody else has changed or cleared a webhook that was ours. When a URL of ours is found that is not the configured
/// one, the change has a cause.
fn is_drift(change: &LineChange) -> bool {
    change.from == Some(LineStatus::Live)
        && matches!(change.to, LineStatus::Empty | LineStatus::Foreign)
        && change.cause.is_none()
}

/// Returns whether a line counts in the metric `LinesNotLive`. A proof counts for a day, also after a check without an answer. A line that
/// was never checked counts after a day. A foreign URL does not count if the mode leaves it; one of ours that is still registered, or
/// was not taken, has a cause.
fn is_alarming(line: &Line, record: Option<&LineRecord>, mode: LineMode, now: Timestamp) -> bool {
    let Some(record) = record else { return now.since(line.known_since) > DAY };
    match record.status {
        LineStatus::Foreign if mode == LineMode::Observe => false,
        LineStatus::Foreign if mode == LineMode::Fill => record.cause.is_some(),
        LineStatus::Live | LineStatus::Unreachable => record.live_at.is_none_or(|live_at| now.since(live_at) > DAY),
        _ => true,
    }
}

fn outcome(report: &LinesReport, is_plan: bool) -> LinesOutcome {
    // A plan's findings are not changes that it makes.
    let changed = if is_plan { report.set } else { report.changed.len() };
    if report.left > 0 || report.cause.is_some() {
        LinesOutcome::Incomplete
    } else if changed == 0 {
        LinesOutcome::UpToDate
    } else if is_plan {
        LinesOutcome::WouldUpdate
    } else {
        LinesOutcome::Updated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> Timestamp {
        "2026-11-22T12:00:00.000000Z".parse().unwrap()
    }

    fn line(number: Option<&str>) -> Line {
        Line {
            entity: Entity::named("whatsapp#1"),
            known_since: noon(),
            number: number.map(str::to_owned),
            reference: None,
            referenced_by: None,
        }
    }

    fn record(status: LineStatus) -> LineRecord {
        LineRecord { live_at: Some(noon()), ..LineRecord::new(Entity::named("whatsapp#1"), status, noon()) }
    }

    /// A day after noon, and a moment later.
    fn days() -> [Timestamp; 2] {
        [noon().plus(DAY), noon().plus(DAY + Duration::from_micros(1))]
    }

    #[test]
    fn a_line_is_left_if_it_was_never_checked_or_could_be_and_was_not_for_a_day() {
        let left = |line: &Line, record: Option<&LineRecord>| days().map(|now| is_overdue(line, record, now));
        let in_digits = line(Some("1"));
        assert_eq!(left(&in_digits, None), [true, true]);
        for (status, worked, expected) in [
            (LineStatus::Live, false, true),
            (LineStatus::UnknownNumber, false, true),
            (LineStatus::NoKey, false, false),
            (LineStatus::WrongKey, false, false),
            (LineStatus::WrongKey, true, true),
        ] {
            let key = Some("key".to_owned());
            let record = LineRecord { worked_key: key.clone().filter(|_| worked), key, ..record(status) };
            assert_eq!(left(&in_digits, Some(&record)), [false, expected], "{status} {worked}");
            assert_eq!(left(&line(None), Some(&record)), [false, false], "{status} {worked}");
        }
    }

    #[test]
    fn a_line_is_alarming_if_it_should_be_live_and_has_no_proof_of_the_last_day() {
        let line = line(Some("1"));
        let alarming = |record: Option<&LineRecord>, mode| days().map(|now| is_alarming(&line, record, mode, now));
        assert_eq!(alarming(None, LineMode::Fill), [false, true]);
        let told = |record: LineRecord| LineRecord { cause: Some("not taken".to_owned()), ..record };
        let (live, foreign) = (record(LineStatus::Live), record(LineStatus::Foreign));
        for (record, mode, expected) in [
            (live.clone(), LineMode::Fill, [false, true]),
            (record(LineStatus::Unreachable), LineMode::Fill, [false, true]),
            (LineRecord { live_at: None, ..live }, LineMode::Fill, [true, true]),
            (foreign.clone(), LineMode::Observe, [false, false]),
            (told(foreign.clone()), LineMode::Observe, [false, false]),
            (foreign.clone(), LineMode::Fill, [false, false]),
            (told(foreign.clone()), LineMode::Fill, [true, true]),
            (foreign, LineMode::Enforce, [true, true]),
            (record(LineStatus::Empty), LineMode::Observe, [true, true]),
            (record(LineStatus::NoKey), LineMode::Fill, [true, true]),
        ] {
            assert_eq!(alarming(Some(&record), mode), expected, "{record:?} {mode:?}");
        }
    }

    #[test]
    fn only_a_webhook_that_was_ours_and_that_somebody_else_changed_has_drifted() {
        let change = |from, to, cause: Option<&str>| LineChange {
            id: EventId::new(noon(), [0; 8]),
            from,
            to,
            action: LineAction::Found,
            url: None,
            cause: cause.map(str::to_owned),
            not_live: None,
        };
        for (from, to, cause, expected) in [
            (Some(LineStatus::Live), LineStatus::Empty, None, true),
            (Some(LineStatus::Live), LineStatus::Foreign, None, true),
            (Some(LineStatus::Live), LineStatus::Foreign, Some("an earlier URL"), false),
            (Some(LineStatus::Live), LineStatus::WrongKey, None, false),
            (Some(LineStatus::Empty), LineStatus::Foreign, None, false),
            (None, LineStatus::Foreign, None, false),
        ] {
            assert_eq!(is_drift(&change(from, to, cause)), expected, "{from:?} {to}");
        }
    }
}
