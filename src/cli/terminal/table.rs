//! Tables that fit the terminal: columns as wide as what stands in them, cut with an ellipsis where there is no room.
//!
//! Called by the commands that list things. Without a terminal nothing is cut: whoever reads it then is a program.

use super::Colour;
use super::text::{cut, harmless, padded, width};

/// Between two columns.
const GAP: usize = 2;

/// A column.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Column {
    title: &'static str,
    /// Whether what stands in it ends where the column does, as numbers do.
    to_the_right: bool,
    /// It may be cut to so many columns of the terminal; `None` where it may not.
    least: Option<usize>,
    /// Whether it is left out where there is no room for it.
    optional: bool,
}

impl Column {
    /// One that is never cut.
    pub(in crate::cli) const fn new(title: &'static str) -> Self {
        Self { title, to_the_right: false, least: None, optional: false }
    }

    /// The same for numbers.
    pub(in crate::cli) const fn right(self) -> Self {
        Self { to_the_right: true, ..self }
    }

    /// The same, cut to no less than so many.
    pub(in crate::cli) const fn least(self, least: usize) -> Self {
        Self { least: Some(least), ..self }
    }

    /// The same, left out where there is no room.
    pub(in crate::cli) const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }
}

/// What stands in a row and a column.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Cell {
    text: String,
    colour: Option<Colour>,
}

impl Cell {
    pub(in crate::cli) fn new(text: impl AsRef<str>) -> Self {
        Self { text: harmless(text.as_ref()), colour: None }
    }

    pub(in crate::cli) fn coloured(text: impl AsRef<str>, colour: Option<Colour>) -> Self {
        Self { colour, ..Self::new(text) }
    }
}

/// A table: a row of titles, and rows.
#[derive(Debug)]
pub(in crate::cli) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(in crate::cli) fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; it has as many cells as there are columns.
    pub(in crate::cli) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// The lines, of at most `room` columns each, if that is a bound. Columns in which nothing stands are left out.
    pub(in crate::cli) fn lines(&self, room: Option<usize>, coloured: bool) -> Vec<String> {
        let widths = self.widths(room);
        let title = |column: &Column| Cell::coloured(column.title, Some(Colour::Dim));
        let titles: Vec<Cell> = self.columns.iter().map(title).collect();
        let rows = std::iter::once(&titles).chain(&self.rows);
        rows.map(|cells| self.line(cells, &widths, coloured)).collect()
    }

    fn line(&self, cells: &[Cell], widths: &[Option<usize>], coloured: bool) -> String {
        let mut line = String::new();
        let last = widths.iter().rposition(Option::is_some);
        for (at, (column, cell)) in self.columns.iter().zip(cells).enumerate() {
            let Some(columns) = widths.get(at).copied().flatten() else { continue };
            let text = cut(&cell.text, columns);
            let space = if Some(at) == last && !column.to_the_right { 0 } else { columns };
            let text = padded(&text, space, column.to_the_right);
            match cell.colour.filter(|_| coloured) {
                Some(colour) => line.push_str(&colour.paint(&text)),
                None => line.push_str(&text),
            }
            if Some(at) != last {
                line.push_str(&" ".repeat(GAP));
            }
        }
        line
    }

    /// How wide each column is; `None` for those left out.
    fn widths(&self, room: Option<usize>) -> Vec<Option<usize>> {
        let mut natural: Vec<Option<usize>> =
            self.columns.iter().enumerate().map(|(at, column)| self.natural(at, column)).collect();
        let Some(room) = room else { return natural };
        loop {
            let mut widths = natural.clone();
            while let excess @ 1.. = total(&widths).saturating_sub(room) {
                if !self.narrow(&mut widths, excess) {
                    break;
                }
            }
            if total(&widths) <= room {
                return widths;
            }
            // Without the last that may be left out, the others have room again.
            let optional = |at: &usize| {
                natural[*at].is_some() && self.columns.get(*at).is_some_and(|column| column.optional)
            };
            let Some(at) = (0..natural.len()).rev().find(optional) else { return widths };
            natural[at] = None;
        }
    }

    /// As wide as what stands in it; `None` for an optional one in which nothing stands.
    fn natural(&self, at: usize, column: &Column) -> Option<usize> {
        let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| width(&cell.text));
        let widest = cells.max().unwrap_or(0);
        let empty = widest == 0 && column.optional && !self.rows.is_empty();
        (!empty).then(|| widest.max(width(column.title)))
    }

    /// Takes some of `excess` from the column that can give most; whether there was one.
    fn narrow(&self, widths: &mut [Option<usize>], excess: usize) -> bool {
        let spare = |at: usize, wide: Option<usize>| {
            let column = self.columns.get(at)?;
            Some(wide?.saturating_sub(column.least?.max(width(column.title))))
        };
        let spares = widths.iter().enumerate().map(|(at, wide)| (spare(at, *wide).unwrap_or(0), at));
        let Some((most, at)) = spares.max().filter(|(most, _)| *most > 0) else { return false };
        // Little by little, so that two long ones share.
        let less = excess.min(most).min(8);
        widths[at] = widths[at].map(|wide| wide - less);
        true
    }
}

/// Columns and gaps together.
fn total(widths: &[Option<usize>]) -> usize {
    let there: Vec<usize> = widths.iter().copied().flatten().collect();
    there.iter().sum::<usize>() + GAP * there.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, note: &str) -> Table {
        let columns = [
            Column::new("id").right(),
            Column::new("name").least(8),
            Column::new("state"),
            Column::new("note").least(6).optional(),
        ];
        let mut table = Table::new(&columns);
        table.row(vec![Cell::new("7"), Cell::new(name), Cell::new("New"), Cell::new(note)]);
        table
    }

    #[test]
    fn every_line_fits_whatever_stands_in_it() {
        for name in ["a", "漢字かな漢字かな漢字かな", &"x".repeat(500)] {
            for note in ["", "why it failed, in a long sentence of the daemon", &"ж".repeat(90)] {
                for room in [30, 60, 80, 200] {
                    for line in table(name, note).lines(Some(room), false) {
                        assert!(width(&line) <= room, "{room}: {line}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_longest_gives_way_first_and_the_optional_goes_last() {
        let long = "a-name-that-is-rather-long-for-its-place";
        let lines = table(long, "short").lines(Some(40), false);
        assert_eq!(
            lines,
            ["id  name                    state  note", " 7  a-name-that-is-rather…  New    short"]
        );
        let lines = table(long, "short").lines(Some(20), false);
        assert_eq!(lines, ["id  name       state", " 7  a-name-t…  New"]);
    }

    #[test]
    fn without_a_terminal_nothing_is_cut_and_an_empty_column_is_left_out() {
        let long = "x".repeat(300);
        assert!(table(&long, "").lines(None, false)[1].contains(&long));
        assert!(!table("a", "").lines(None, false)[0].contains("note"));
    }

    #[test]
    fn colours_take_no_room_and_escapes_in_cells_are_none() {
        let mut table = Table::new(&[Column::new("id"), Column::new("name")]);
        table.row(vec![Cell::coloured("ok", Some(Colour::Green)), Cell::new("\u{1b}[2Jx")]);
        let lines = table.lines(Some(60), true);
        assert_eq!(lines[1], "\u{1b}[32mok\u{1b}[0m  �[2Jx");
    }
}
