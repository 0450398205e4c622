//! Tables for people.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use shared::{Entity, EventId, Timestamp, human_time::minutes, text::plain};
use store::{Change, ForwardFailure, State, StoredDelivery};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::{
    screen::{Screen, Tone},
    text::cause,
    times,
};

/// Columns of an entity: the number of a line is whole, and of a longer name the number at its end.
const ENTITY: usize = 28;

/// Columns of the number of a line alone: the longest have 15 digits.
const NUMBER: usize = 15;

/// Columns of the shortest form of an id: its last 8 digits, which `hooks show` finds.
const ID: usize = 9;

/// Marks an id, in place of its beginning, as that of a duplicate. `hooks show` finds it all the same.
const MARK: &str = "+";

/// Shown as the next attempt of an event that is given up.
const GIVEN_UP: &str = "none: given up";

/// Columns of a time.
const TIME: usize = 25;

/// A column of a table. A column made from a text is cut to 10 characters or the width of its name if necessary, and is never left out.
#[derive(Clone, Copy)]
pub struct Column {
    name: &'static str,
    /// The number of columns that a value keeps. A column is never narrower than its name.
    least: usize,
    /// True to cut it only when no other column can be cut further.
    is_firm: bool,
    /// True to keep only the end of a value that is cut.
    keeps_end: bool,
    /// True when its values are times.
    is_time: bool,
    /// True to leave it out when all its values are empty.
    is_rare: bool,
    /// The column whose values are marked in this one when it is left out: with [`MARK`] in place of the first character.
    marks: Option<usize>,
    /// Rank for leaving it out: the highest first, and 0 never.
    rank: u8,
    tone: fn(&str) -> Option<Tone>,
}

impl From<&'static str> for Column {
    fn from(name: &'static str) -> Self {
        Self {
            name,
            least: name.width().max(10),
            is_firm: false,
            keeps_end: false,
            is_time: false,
            is_rare: false,
            marks: None,
            rank: 0,
            tone: |_| None,
        }
    }
}

impl Column {
    /// Returns a column of entities, which are cut last.
    pub fn entity(name: &'static str) -> Self {
        Self { is_firm: true, ..Self::from(name).least(ENTITY) }
    }

    /// Returns a column of lines' numbers, which are never cut.
    pub fn number(name: &'static str) -> Self {
        Self::entity(name).least(NUMBER)
    }

    /// Returns a column of ids.
    pub fn id(name: &'static str) -> Self {
        Self { is_firm: true, keeps_end: true, ..Self::from(name).least(ID) }
    }

    /// Returns a column of times.
    pub fn time(name: &'static str) -> Self {
        Self { is_firm: true, is_time: true, ..Self::from(name).least(TIME) }
    }

    /// Sets the number of columns that a value keeps when there is little room.
    pub const fn least(self, least: usize) -> Self {
        Self { least, ..self }
    }

    /// Allows the column to be left out when there is too little room. The column with the highest rank goes first; ranks start at 1.
    pub const fn optional(self, rank: u8) -> Self {
        Self { rank, ..self }
    }

    /// Returns a value of at most that many columns.
    fn cut(&self, value: &str, width: usize) -> String {
        cut(value, width, if self.keeps_end { 0 } else { 2 })
    }

    /// Shows its values in tones.
    pub const fn toned(self, tone: fn(&str) -> Option<Tone>) -> Self {
        Self { tone, ..self }
    }
}

/// Returns a table that fits the terminal. Control characters are escaped.
pub fn table<const COLUMNS: usize, C: Into<Column>>(
    header: [C; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut rows: Vec<_> = rows.into_iter().map(|row| row.map(|cell| plain(&cell)).to_vec()).collect();
    let mut columns = header.map(Into::into).to_vec();
    for index in (0..COLUMNS).rev() {
        if columns[index].is_rare && rows.iter().all(|row| row[index].is_empty()) {
            columns.remove(index);
            rows.iter_mut().for_each(|row| drop(row.remove(index)));
        }
    }
    Layout { columns: &columns, rows: &rows, screen: Screen::of_stdout() }.text()
}

/// Returns an empty line and a table of a list in a report, or nothing if the list is empty. Each column shows the member to which a JSON
/// pointer points.
pub fn findings<const COLUMNS: usize>(list: &Value, columns: [(Column, &str); COLUMNS]) -> String {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() {
        return String::new();
    }
    let cell = |finding: &Value, (column, pointer): (Column, &str)| match finding.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if column.is_time => times::reported(text),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let rows = list.iter().map(|finding| columns.map(|column| cell(finding, column)));
    format!("\n{}", table(columns.map(|(column, _)| column), rows))
}

/// A table on a screen.
struct Layout<'a> {
    columns: &'a [Column],
    rows: &'a [Vec<String>],
    screen: Screen,
}

impl Layout<'_> {
    /// Returns the values in a frame if there is room. Otherwise columns are cut and left out, and if that is not enough, each value gets
    /// its own line.
    fn text(&self) -> String {
        match self.widths() {
            Some(widths) => self.framed(&widths),
            None => self.stacked(),
        }
    }

    /// Returns the widths of the columns, 0 for those that are left out; `None` when they do not fit.
    fn widths(&self) -> Option<Vec<usize>> {
        let cells = |index: usize| self.rows.iter().map(move |row| row[index].width());
        let natural: Vec<usize> = (self.columns.iter().enumerate())
            .map(|(index, column)| cells(index).max().unwrap_or_default().max(column.name.width()))
            .collect();
        let Some(room) = self.screen.width else { return Some(natural) };
        let least = |index: usize| natural[index].min(self.columns[index].least.max(self.columns[index].name.width()));
        let mut kept: Vec<usize> = (0..self.columns.len()).collect();
        // A frame has three columns beside each value, and one more at its end.
        while kept.iter().map(|index| least(*index) + 3).sum::<usize>() + 1 > room {
            let rank = |index: &usize| self.columns[*index].rank;
            let is_empty = |index: &usize| cells(*index).all(|width| width == 0);
            let gone =
                *kept.iter().filter(|index| rank(index) > 0).max_by_key(|index| (is_empty(index), rank(index)))?;
            kept.retain(|index| *index != gone);
        }
        let room = room - 1 - 3 * kept.len();
        let widest = natural.iter().copied().max().unwrap_or_default();
        let width = |index: usize, (loose, firm): (usize, usize)| {
            let most = if self.columns[index].is_firm { firm } else { loose };
            natural[index].min(most.max(least(index)))
        };
        let fits = |most: &(usize, usize)| kept.iter().map(|index| width(*index, *most)).sum::<usize>() <= room;
        // The widest values are cut first, to the same width.
        let steps = || (0..=widest).rev();
        let most = steps().map(|loose| (loose, widest)).chain(steps().map(|firm| (0, firm))).find(fits)?;
        Some((0..self.columns.len()).map(|index| if kept.contains(&index) { width(index, most) } else { 0 }).collect())
    }

    fn framed(&self, widths: &[usize]) -> String {
        let shown = || widths.iter().enumerate().filter(|(_, width)| **width > 0);
        let line = |[left, fill, between, right]: [&str; 4]| {
            let parts: Vec<String> = shown().map(|(_, width)| fill.repeat(width + 2)).collect();
            format!("{left}{}{right}\n", parts.join(between))
        };
        let row = |cell: &dyn Fn(usize, usize) -> String| {
            let cells: Vec<String> = shown().map(|(index, width)| cell(index, *width)).collect();
            format!("│ {} │\n", cells.join(" ┆ "))
        };
        let mut text = line(["┌", "─", "┬", "┐"]);
        text += &row(&|index, width| format!("{:width$}", self.columns[index].name));
        text += &line(["╞", "═", "╪", "╡"]);
        let is_marked = |index: usize, cells: &[String]| {
            self.columns[index].marks.is_some_and(|other| widths[other] == 0 && !cells[other].is_empty())
        };
        for cells in self.rows {
            text += &row(&|index, width| {
                let mut cut = self.columns[index].cut(&cells[index], width);
                if is_marked(index, cells) {
                    cut = cut.replacen('…', MARK, 1);
                }
                self.cell(index, &cut) + &" ".repeat(width.saturating_sub(cut.width()))
            });
        }
        text += &line(["└", "─", "┴", "┘"]);
        let left_out: Vec<&str> = (self.columns.iter().zip(widths))
            .filter(|(_, width)| **width == 0)
            .map(|(column, _)| column.name)
            .collect();
        if !left_out.is_empty() {
            let mut note = format!("Left out on this narrow screen: {}.", left_out.join(", "));
            if self.rows.iter().any(|cells| (0..cells.len()).any(|index| is_marked(index, cells))) {
                note += &format!("\nThe id of a duplicate begins with {MARK}.");
            }
            text += &format!("{}\n", self.screen.toned(Some(Tone::Faint), &note));
        }
        text
    }

    fn stacked(&self) -> String {
        let names = self.columns.iter().map(|column| column.name.width()).max().unwrap_or_default();
        let room = self.screen.width.unwrap_or(usize::MAX).saturating_sub(names + 2);
        let record = |cells: &Vec<String>| {
            let lines = cells.iter().zip(self.columns).enumerate().filter(|(_, (cell, _))| !cell.is_empty());
            let lines = lines.map(|(index, (cell, column))| {
                let cell = self.cell(index, &column.cut(cell, room.max(column.least)));
                format!("{:names$}  {cell}\n", column.name)
            });
            lines.collect::<String>()
        };
        self.rows.iter().map(record).collect::<Vec<_>>().join("\n")
    }

    /// Returns a value in its tone.
    fn cell(&self, index: usize, cell: &str) -> String {
        let toned = self.screen.toned((self.columns[index].tone)(cell), cell);
        self.screen.isolated(toned)
    }
}

/// Returns a text with its middle left out, if it is wider than that many columns. `start` fifths of the room are for its start.
fn cut(text: &str, width: usize, start: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    let graphemes: Vec<&str> = text.graphemes(true).collect();
    let fitting = |room: usize, graphemes: &mut dyn Iterator<Item = &&str>| {
        let used = graphemes.scan(0, |used, grapheme| {
            *used += grapheme.width();
            Some(*used)
        });
        used.take_while(|used| *used <= room).count()
    };
    // More of the end, because ids of about the same time share their beginning.
    let start = graphemes[..fitting(room * start / 5, &mut graphemes.iter())].concat();
    let end = fitting(room - start.width(), &mut graphemes.iter().rev());
    format!("{start}…{}", graphemes[graphemes.len() - end..].concat())
}

/// Returns the tone of a verdict.
pub fn verdict(verdict: &str) -> Option<Tone> {
    match verdict {
        "ok" => Some(Tone::Good),
        "warn" => Some(Tone::Warning),
        "fail" => Some(Tone::Bad),
        "skip" => Some(Tone::Faint),
        _ => None,
    }
}

/// Returns a table of deliveries.
pub fn deliveries(deliveries: &[StoredDelivery]) -> String {
    let row = |delivery: &StoredDelivery| {
        [
            times::shown(delivery.received_at),
            delivery.kind.clone(),
            delivery.entity.to_string(),
            delivery.id.to_string(),
            delivery.duplicate_of.as_ref().map(ToString::to_string).unwrap_or_default(),
            delivery.reference.clone().unwrap_or_default(),
            delivery.extra_info.as_ref().map(ToString::to_string).unwrap_or_default(),
        ]
    };
    table(delivery_columns(), deliveries.iter().map(row))
}

fn delivery_columns() -> [Column; 7] {
    [
        Column::time("received"),
        Column::from("kind").optional(3).toned(|kind| match kind {
            "quarantine" => Some(Tone::Bad),
            "unnamed" => Some(Tone::Warning),
            _ => None,
        }),
        Column::entity("entity"),
        Column { marks: Some(4), ..Column::id("id") }.toned(|id| id.starts_with(MARK).then_some(Tone::Warning)),
        Column { keeps_end: true, ..Column::from("duplicate of").optional(2).toned(|_| Some(Tone::Warning)) },
        Column::from("reference"),
        Column::from("update").optional(1),
    ]
}

/// Returns a table of the last attempt to post each event: entity, id, attempts and answer.
pub fn attempts(rows: impl IntoIterator<Item = [String; 4]>) -> String {
    table(attempt_columns(), rows)
}

fn attempt_columns() -> [Column; 4] {
    [Column::entity("entity"), Column::id("id"), Column::from("attempts").optional(1), Column::from("last answer")]
}

/// Returns a table of quarantined deliveries.
pub fn quarantined(deliveries: &[StoredDelivery]) -> String {
    let row = |delivery: &StoredDelivery| {
        [
            times::shown(delivery.received_at),
            delivery.id.to_string(),
            delivery.source_ip.clone(),
            delivery.body_bytes.map(|bytes| bytes.to_string()).unwrap_or_default(),
            cause(delivery).unwrap_or_default(),
        ]
    };
    let header = [
        Column::time("received"),
        Column::id("id"),
        Column::from("source").least(15).optional(1),
        Column::from("bytes").optional(2),
        Column::from("cause").least(30),
    ];
    table(header, deliveries.iter().map(row))
}

/// Returns a table of states. Those of some entities are marked as gone at the provider.
pub fn states(states: &[State], gone: &BTreeMap<Entity, Timestamp>) -> String {
    let row = |state: &State| {
        [
            state.entity.to_string(),
            state.version.to_string(),
            state.duplicates.to_string(),
            times::shown(state.last_seen),
            state.reference().unwrap_or_default().to_owned(),
            state.extra_info().map(ToString::to_string).unwrap_or_default(),
            if gone.contains_key(&state.entity) { "yes".to_owned() } else { String::new() },
        ]
    };
    let header = [
        Column::entity("entity"),
        Column::from("events").optional(1),
        Column::from("duplicates").optional(2),
        Column::time("last seen"),
        Column::from("reference"),
        Column::from("update"),
        Column { is_rare: true, ..Column::from("gone").toned(|_| Some(Tone::Warning)) },
    ];
    table(header, states.iter().map(row))
}

/// Returns a table of events that the endpoint has not accepted.
pub fn forward_failures<'a>(failures: impl IntoIterator<Item = &'a ForwardFailure>) -> String {
    let row = |failure: &ForwardFailure| {
        [
            failure.entity.to_string(),
            failure.id.to_string(),
            times::shown(failure.first_attempt_at),
            failure.attempts.to_string(),
            failure.answer.clone(),
            failure.next_attempt_at.map_or_else(|| GIVEN_UP.to_owned(), times::shown),
        ]
    };
    let header = [
        Column::entity("entity"),
        Column::id("event"),
        Column::time("since").optional(2),
        Column::from("attempts").optional(1),
        Column::from("answer").least(14),
        Column::time("next attempt").toned(|at| Some(if at == GIVEN_UP { Tone::Bad } else { Tone::Warning })),
    ];
    table(header, failures.into_iter().map(row))
}

/// Returns a table with the last known value of each field of a state.
pub fn fields(state: &State) -> String {
    let header = [Column::from("field").least(usize::MAX), Column::from("last value").least(usize::MAX)];
    table(header, state.fields.iter().map(|(name, value)| [name.clone(), value.to_string()]))
}

/// Returns a table of changes of the registration, newest first. The period of the `present` one goes on until now. Changes within a period
/// share its start, and the newest one shows it.
pub fn changes<'a>(changes: impl IntoIterator<Item = &'a Change>, present: Option<EventId>, now: Timestamp) -> String {
    let mut starts = BTreeSet::new();
    let row = |change: &Change| {
        let not_ours = change.not_ours.as_ref().filter(|period| starts.insert(period.start));
        let cause = change.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
        // Any other period ends with the change itself.
        let duration = not_ours.map(|period| match present == Some(change.id) {
            true => format!("{} until now", minutes(now.since(period.start))),
            false => minutes(period.end.since(period.start)),
        });
        [
            times::shown(change.at),
            format!("{}{cause}", change.kind),
            change.action.clone(),
            change.registered.clone().unwrap_or_default(),
            not_ours.map(|period| times::shown(period.start)).unwrap_or_default(),
            duration.unwrap_or_default(),
        ]
    };
    table(change_columns(), changes.into_iter().map(row))
}

fn change_columns() -> [Column; 6] {
    [
        Column::time("time"),
        Column::from("what").least(11),
        Column::from("by").optional(2),
        Column::from("registered then").least(24).optional(1),
        Column::time("not ours from").toned(|_| Some(Tone::Bad)),
        Column::from("for").least(16).toned(|_| Some(Tone::Bad)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "whatsapp#972501234567";
    const EVENT: &str = "019aab4e-9fc0-7000-8707-0707071234df";
    const OTHER: &str = "019aab4e-9fc0-7000-8707-123456789012";

    /// A delivery with a long reference in Hebrew and emoji, and one without.
    fn shown(width: Option<usize>) -> String {
        let reference = "לקוח 👩‍👩‍👧 ".repeat(30);
        let rows = [
            ["2026-11-22T09:30:00Z", "whatsapp", LINE, EVENT, "", &reference, "2"],
            ["2026-11-22T09:31:00Z", "online", "online#eu1#523", EVENT, OTHER, "client-7", "1"],
        ];
        let rows: Vec<_> = rows.map(|row| row.map(str::to_owned).to_vec()).into();
        Layout { columns: &delivery_columns(), rows: &rows, screen: Screen { width, has_colours: false } }.text()
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_no_number_or_heading_is_cut() {
        for width in 45..260 {
            let shown = shown(Some(width));
            let widest = shown.lines().map(UnicodeWidthStr::width).max();
            assert!(widest.is_some_and(|widest| widest <= width), "{widest:?} of {width}:\n{shown}");
            assert!(shown.contains(LINE) && shown.contains("1234df"), "{width}:\n{shown}");
            assert!(shown.contains("reference"), "{width}:\n{shown}");
        }
    }

    #[test]
    fn columns_are_cut_and_then_left_out_by_rank_and_then_the_rows_are_stacked() {
        let [wide, medium, narrow] = [160, 100, 60].map(|width| shown(Some(width)));
        assert!(wide.contains(EVENT) && wide.contains("duplicate of") && !wide.contains("Left out"), "{wide}");
        assert!(medium.contains(" …707071234df ") && !medium.contains(EVENT), "{medium}");
        assert!(medium.ends_with("Left out on this narrow screen: kind.\n"), "{medium}");
        let small = shown(Some(80));
        let note =
            "Left out on this narrow screen: kind, duplicate of, update.\nThe id of a duplicate begins with +.\n";
        assert!(small.contains(LINE) && small.contains("client-7") && small.ends_with(note), "{small}");
        assert!(small.contains(" …07-0707071234df ") && small.contains(" +07-0707071234df "), "{small}");
        let lines: Vec<&str> = narrow.lines().collect();
        assert_eq!(
            lines[..3],
            ["received      2026-11-22T09:30:00Z", "kind          whatsapp", "entity        whatsapp#972501234567"]
        );
        assert_eq!(lines[6], "", "one record after the other");
        assert!(narrow.contains(&format!("duplicate of  {OTHER}\n")), "{narrow}");
    }

    #[test]
    fn right_to_left_text_stays_in_its_cell_on_a_terminal() {
        let shown = shown(Some(160));
        let line = shown.lines().find(|line| line.contains("לקוח")).unwrap();
        let (start, end) = (line.find('\u{2068}').unwrap(), line.find('\u{2069}').unwrap());
        assert!(start < line.find('ל').unwrap() && line.rfind('ח').unwrap() < end, "{line}");
        assert_eq!(line.matches('\u{2068}').count(), 1, "{line}");
    }

    #[test]
    fn output_to_a_file_or_pipe_has_every_value_in_full() {
        let shown = shown(None);
        assert!(shown.contains(&"לקוח 👩‍👩‍👧 ".repeat(30)) && shown.contains(EVENT) && shown.contains(OTHER), "{shown}");
        assert!(!shown.contains(['\u{2068}', '\u{1b}']), "{shown}");
    }

    #[test]
    fn a_cut_keeps_the_start_and_more_of_the_end() {
        for (text, width, expected) in [
            ("abcdefghij", 10, "abcdefghij"),
            ("abcdefghijk", 10, "abc…fghijk"),
            ("👩👩👩👩👩👩", 6, "👩…👩"),
            ("e\u{301}e\u{301}e\u{301}", 2, "…e\u{301}"),
        ] {
            assert_eq!(cut(text, width, 2), expected, "{text}");
        }
        assert_eq!(cut(EVENT, 9, 0), "…071234df");
    }

    #[test]
    fn attempts_on_a_narrow_screen_show_every_number_whole_and_ids_by_their_end() {
        let rows = [[LINE, EVENT, "1", "taken"].map(str::to_owned).to_vec()];
        let screen = Screen { width: Some(60), has_colours: false };
        let shown = Layout { columns: &attempt_columns(), rows: &rows, screen }.text();
        assert!(shown.contains(&format!("│ {LINE} ┆ …")) && shown.contains("071234df"), "{shown}");
    }

    #[test]
    fn a_change_of_the_registration_shows_its_period_on_every_screen() {
        let time = "2026-11-22T09:30:00Z";
        let row = [time, "drift", "sync", "https://other.example/in/***66aa", time, "120 min until now"];
        for width in [80, 100, 160] {
            let screen = Screen { width: Some(width), has_colours: false };
            let shown = Layout { columns: &change_columns(), rows: &[row.map(str::to_owned).to_vec()], screen }.text();
            assert!(shown.contains(&format!("┆ {time} ┆ 120 m")) && shown.contains("until now │"), "{shown}");
        }
    }

    #[test]
    fn states_have_colours_if_the_screen_has_colours() {
        let of = |has_colours| Screen { width: None, has_colours }.toned(verdict("fail"), "fail");
        assert_eq!([of(false), of(true)], ["fail".to_owned(), "\u{1b}[31mfail\u{1b}[0m".to_owned()]);
    }
}
