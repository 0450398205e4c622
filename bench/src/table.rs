//! Markdown tables whose columns stand below each other.

/// A table; numbers are written by whoever makes it.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// One with these heads and no rows.
    pub fn new<const N: usize>(heads: [&str; N]) -> Self {
        Self { rows: vec![heads.map(str::to_owned).to_vec()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The text, with a line's end behind each row.
    pub fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            for (column, width) in widths.iter().enumerate() {
                let cell = row.get(column).map_or("", String::as_str);
                let cell = if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
                text.push_str(&format!("| {cell} "));
            }
            text.push_str("|\n");
            if number == 0 {
                for (column, width) in widths.iter().enumerate() {
                    let end = if column == 0 { "-" } else { ":" };
                    text.push_str(&format!("|-{}{end}", "-".repeat(*width)));
                }
                text.push_str("|\n");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_with_names_left_and_numbers_right() {
        let mut table = Table::new(["function", "ms"]);
        table.row(["receiver".to_owned(), "7.5".to_owned()]);
        table.row(["floor".to_owned(), "12.25".to_owned()]);
        let text = "| function |    ms |\n|----------|------:|\n| receiver |   7.5 |\n| floor    | 12.25 |\n";
        assert_eq!(table.text(), text);
    }
}
