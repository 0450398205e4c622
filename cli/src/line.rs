//! `hooks line`: everything about one line.

use std::{collections::BTreeMap, process::ExitCode, time::SystemTime};

use anyhow::{Context, Error, Result, bail};
use clap::{Args, builder::NonEmptyStringValueParser};
use futures_util::TryStreamExt;
use inspector::{Line, LineReader, is_line};
use serde_json::json;
use shared::{
    Entity, Timestamp,
    human_time::{Moment, minutes, moment, to_the_second},
    text::plain,
};
use store::{DeliveryQuery, LineChange, Listing, Order, PAGE, State, first, named};

use crate::{
    lines::{LINE_WEBHOOK, NOT_LIVE, check, find_keys, left, object, reader, standing, webhook_tone},
    output::{
        Output, json, print,
        tables::{self, Column},
        text, times,
    },
    query::past,
    states,
    target::{Target, TargetArgs},
};

/// Shows everything about one line: the proof that it is live, or the reason why it is not.
#[derive(Args)]
#[command(after_help = "\
The number can be written in any usual form: +972 50-123-4567 is 972501234567. Your reference names a line too.

Exit code: 0 when the line is live, off or gone at the provider; 3 when it is not live; 1 after a failure or when there is no such
line. A line is off when the parameter LineWebhookUrl is empty.

Examples:
  cargo hooks line 972501234567
  cargo hooks line 972501234567 --check --stack partner-webhook     asks the provider now
  cargo hooks line 972501234567 --output json | jq .proof")]
pub struct LineArgs {
    /// Number of the line, its entity, such as whatsapp#972501234567, or its reference.
    #[arg(value_parser = NonEmptyStringValueParser::new(), num_args = 1.., required = true)]
    number: Vec<String>,
    /// Check the line with the provider first, and set a missing webhook, as the schedule does. Tries even a refused key.
    #[arg(long)]
    check: bool,
    /// Start of the time range for the history of the line's webhook: a time ago (36h, 7d, 2w), a day or a moment.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = moment)]
    since: Moment,
    /// Maximum number of changes to list.
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = crate::output::limit, allow_negative_numbers = true)]
    limit: usize,
    #[command(flatten)]
    target: TargetArgs,
    /// Output format. json is one object on one line.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Shows a line.
///
/// # Errors
/// Fails when there is no such line, it cannot be read, or the check fails.
pub async fn run(args: LineArgs) -> Result<ExitCode> {
    let written = args.number.join(" ");
    let target = Target::find(args.target).await?;
    let reader = reader(&target);
    let entity = find(&reader, &written).await?;
    let unfinished = match args.check {
        true => left(&[check(&target, &json!({ "action": "lines", "entity": entity, "again": true })).await?]),
        false => None,
    };
    let mut line = reader.one(&entity).await?.with_context(|| format!("there is no line {}", plain(&written)))?;
    find_keys(&reader, std::slice::from_mut(&mut line)).await;
    let now = Timestamp::from(SystemTime::now());
    let listing = Listing {
        times: past(args.since, now)..now.plus(DeliveryQuery::CLOCK_AHEAD),
        order: Order::NewestFirst,
        after: None,
        page_size: store::page_size(args.limit),
    };
    let (changes, more) = first(reader.lines.history(&entity, &listing), args.limit).await?;
    let related: Vec<State> = match line.reference() {
        Some(reference) => target.reader.states_by_reference(reference, PAGE).try_collect().await?,
        None => Vec::new(),
    };
    let gone = states::gone(&reader.inventory, &related).await?;
    let known = Known { line, changes, more, related, gone };
    print(&match args.output {
        Output::Json => known.json()?,
        Output::Table => known.for_people(now),
    })?;
    match unfinished {
        Some(fault) => bail!("{fault}"),
        None if known.line.is_problem() => Ok(ExitCode::from(NOT_LIVE)),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Everything about a line.
struct Known {
    line: Line,
    /// The newest changes of its webhook, newest first.
    changes: Vec<LineChange>,
    more: bool,
    /// All states with the same reference, including the line's own.
    related: Vec<State>,
    /// Those of them that are gone at the provider.
    gone: BTreeMap<Entity, Timestamp>,
}

impl Known {
    fn json(&self) -> serde_json::Result<String> {
        let mut object = object(&self.line);
        object["proof"] = self.line.proof(&to_the_second).into();
        let change = |change: &LineChange| {
            json!({
                "id": change.id,
                "at": change.id.received_at(),
                "from": change.from.map(store::LineStatus::name),
                "to": change.to.name(),
                "action": change.action.name(),
                "url": change.url,
                "cause": change.cause,
                "not_live": change.not_live.as_ref().map(|period| json!({ "from": period.start, "until": period.end })),
            })
        };
        object["changes"] = self.changes.iter().map(change).collect();
        object["same_reference"] = self.related.iter().map(|state| json!(state.entity)).collect();
        json::line(&object)
    }

    fn for_people(&self, now: Timestamp) -> String {
        let Self { line, changes, more, related, gone } = self;
        let owned = |text: Option<&str>| text.unwrap_or("not known").to_owned();
        let mut shown = text::facts(&[
            ("line", line.number().to_owned()),
            ("name", owned(line.name())),
            ("reference", owned(line.reference())),
            (LINE_WEBHOOK, standing(line)),
        ]);
        shown.push('\n');
        for sentence in line.proof(&|time| times::shown_with_age(time, now)) {
            shown += &format!("{}\n", plain(&sentence));
        }
        if !changes.is_empty() {
            shown += &format!("\nThe history of the line's webhook\n{}", history(changes));
        }
        if *more {
            shown += &format!("The last {} changes; --limit shows more.\n", changes.len());
        }
        if related.len() > 1 {
            shown += &format!("\nEverything with this reference\n{}", tables::states(related, gone));
        }
        shown
    }
}

fn history(changes: &[LineChange]) -> String {
    let row = |change: &LineChange| {
        let not_live = change.not_live.as_ref();
        let cause = change.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
        [
            times::shown(change.id.received_at()),
            format!("{}{cause}", change.to.in_words()),
            change.action.to_string(),
            change.url.clone().unwrap_or_default(),
            not_live.map(|period| times::shown(period.start)).unwrap_or_default(),
            not_live.map(|period| minutes(period.end.since(period.start))).unwrap_or_default(),
        ]
    };
    let header = [
        Column::time("time"),
        Column::from("status").toned(webhook_tone),
        Column::from("action").optional(2),
        Column::from("registered then").least(24).optional(1),
        Column::time("not live from"),
        Column::from("for"),
    ];
    tables::table(header, changes.iter().map(row))
}

/// Finds the line that a person means. Other entities of the same name are not meant.
async fn find(reader: &LineReader, typed: &str) -> Result<Entity> {
    let mut named = named::entities(&reader.reader, typed).await?;
    let whole = Entity::named(typed.trim());
    // Those are found by their states, and a line that is only listed has none.
    for entity in named::candidates(typed.trim()) {
        let is_new = !named.same.contains(&entity) && !named.same.contains(&whole);
        if is_line(&entity) && is_new && reader.one(&entity).await?.is_some() {
            named.same.insert(entity);
        }
    }
    let first = named.meant().first().cloned();
    named.retain(is_line);
    match first {
        Some(other) if named.meant().is_empty() => bail!("{} is not a line", plain(other.as_str())),
        _ => named.only(typed, "line", "`cargo hooks lines --reference`").map_err(Error::msg),
    }
}
