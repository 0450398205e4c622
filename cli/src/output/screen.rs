//! The terminal that answers are printed on.

use std::io::stdout;

use console::Style;
use rustix::termios::tcgetwinsize;

/// The width and the colours of standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// Number of columns; `None` when it is not a terminal, and then there is room for everything.
    pub width: Option<usize>,
    /// True when colours may be used: on a terminal, without `NO_COLOR`.
    pub has_colours: bool,
}

/// The tone in which a state is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It works.
    Good,
    /// It needs attention.
    Warning,
    /// It has failed.
    Bad,
    /// It matters less than the rest.
    Faint,
}

impl Screen {
    /// Returns the screen of this program.
    pub fn of_stdout() -> Self {
        // A terminal without a size, such as that of a recording, has 0 columns. It may have columns and no rows.
        let width = tcgetwinsize(stdout()).ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
        Self { width, has_colours: console::colors_enabled() }
    }

    /// Returns a text in a tone, if there are colours.
    pub fn toned(self, tone: Option<Tone>, text: &str) -> String {
        let style = Style::new().force_styling(true);
        let style = match tone.filter(|_| self.has_colours) {
            None => return text.to_owned(),
            Some(Tone::Good) => style.green(),
            Some(Tone::Warning) => style.yellow(),
            Some(Tone::Bad) => style.red(),
            Some(Tone::Faint) => style.dim(),
        };
        style.apply_to(text).to_string()
    }

    /// Returns a text, isolated if it runs from right to left. Otherwise a terminal would reorder the text beside it.
    pub fn isolated(self, text: String) -> String {
        let is_isolated = self.width.is_some() && text.chars().any(is_right_to_left);
        if is_isolated { format!("\u{2068}{text}\u{2069}") } else { text }
    }
}

/// Returns whether a character belongs to a right-to-left script, such as Hebrew or Arabic.
fn is_right_to_left(character: char) -> bool {
    matches!(character, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}
