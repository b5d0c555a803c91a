//! What a command says on stdout: text for people, or one JSON document with `--json`.

use serde_json::Value;
use std::io::Write;

/// How results are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// Text for people.
    Text,
    /// One JSON document on one line.
    Json,
}

impl Output {
    /// Shows a result: `json` as it is with `--json`, otherwise what `text` makes of it.
    pub fn show(self, json: &Value, text: impl FnOnce(&Value) -> String) {
        let line = match self {
            Output::Json => json.to_string(),
            Output::Text => text(json),
        };
        // A reader that went away (`| head`) is no failure of the command.
        let _ = writeln!(std::io::stdout(), "{}", line.trim_end());
    }

    /// A step on stderr, so that stdout stays the result alone.
    pub fn step(self, text: impl std::fmt::Display) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

/// Lays out rows under a heading, each column as wide as its widest cell.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (cell, width) in cells.zip(&widths) {
            text.push_str(&format!("{cell:<width$}  "));
        }
        format!("{}\n", text.trim_end())
    };
    let mut text = line(&mut heading.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// Lays out names and values, one per line.
pub fn facts(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    pairs.iter().map(|(name, value)| format!("{name:<width$}  {value}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_with_the_widest_cell() {
        let text = table(&["name", "port"], &[vec!["validator-1".into(), "9930".into()], vec!["m".into(), "1".into()]]);
        assert_eq!(text, "name         port\nvalidator-1  9930\nm            1\n");
    }
}
