//! The rows for people.

use super::Row;
use std::fmt::Write;

/// Targets: share of the line at 2 % loss,
const UTILISATION: f64 = 0.85;
/// seconds until the top layer is back,
const RECOVERY: f64 = 5.0;
/// seconds without a picture after the step down.
const FREEZE: f64 = 1.0;

fn seconds(time: Option<f64>) -> String {
    time.map_or_else(|| "never".into(), |time| format!("{time:.1} s"))
}

/// A table in Markdown: each condition's rows one below the other.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| Loss, RTT | Server | Top layer after | Of the line (media) | Longest gap at 3 Mb/s | at the step to 0.5 | Pictures/s at 0.5 | \
         Top layer again after | Overflowed, lost | Other receiver: pictures/s, top, longest gap | Load |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let mut conditions: Vec<String> = Vec::new();
    for row in rows {
        let name = row.condition.to_string();
        if !conditions.contains(&name) {
            conditions.push(name);
        }
    }
    for name in conditions {
        for row in rows.iter().filter(|row| row.condition.to_string() == name) {
            let _ = write!(text, "| {name} | {} |", row.server);
            match &row.impaired {
                Some(figures) => {
                    let [settled, narrow, _] = figures.gaps_s;
                    let [_, fps, _] = figures.fps;
                    let _ = write!(
                        text,
                        " {} | {:.0} % ({:.0} %) | {settled:.2} s | {narrow:.2} s | {fps:.1} | {} | {}, {} |",
                        seconds(figures.converged_s),
                        figures.utilisation * 100.0,
                        figures.media * 100.0,
                        seconds(figures.recovered_s),
                        figures.traffic.overflowed,
                        figures.traffic.lost,
                    );
                }
                None => {
                    let why = if row.condition.line.is_some() { " didn't come up" } else { "" };
                    let _ = write!(text, "{why} | | | | | | |");
                }
            }
            let other = &row.other;
            let (fps, top, gap) = (other.fps, other.top * 100.0, other.gap_s);
            let _ = writeln!(text, " {fps:.1}, {top:.0} %, {gap:.2} s | {:.0} |", row.load);
        }
    }
    text
}

/// What of Chroom's rows misses a target, in words.
pub fn missed(rows: &[Row]) -> Vec<String> {
    let mut missed = Vec::new();
    for row in rows.iter().filter(|row| row.server.starts_with("Chroom")) {
        let (Some(line), name) = (&row.condition.line, &row.condition) else { continue };
        let Some(figures) = &row.impaired else {
            missed.push(format!("{name}: it didn't come up"));
            continue;
        };
        let [_, narrow, _] = figures.gaps_s;
        if line.loss_percent <= 2.0 && figures.utilisation < UTILISATION {
            missed.push(format!("{name}: {:.0} % of the line are used", figures.utilisation * 100.0));
        }
        if narrow > FREEZE {
            missed.push(format!("{name}: no picture for {narrow:.2} s after the step down"));
        }
        if figures.recovered_s.is_none_or(|recovered| recovered > RECOVERY) {
            missed.push(format!("{name}: the top layer is back {}", seconds(figures.recovered_s)));
        }
    }
    missed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client::watch::Timeline,
        generator::Observed,
        impair::{
            condition::{Condition, Line},
            figures::{Figures, Other},
        },
        model::line::Loss,
    };
    use std::time::Duration;

    fn row(server: &str) -> Row {
        let line = Line { loss: Loss::None, loss_percent: 2.0, rtt: Duration::ZERO, jitter: Duration::ZERO };
        let condition = Condition { line: Some(line), phase: Duration::from_secs(10), top_kbps: 2_200 };
        let figures = Figures::new(&condition, &Observed { timeline: Timeline::default(), traffic: None });
        let other = Other::default();
        Row {
            condition,
            netem: false,
            server: server.into(),
            up_s: Some(1.0),
            impaired: Some(figures),
            other,
            load: 0.0,
        }
    }

    #[test]
    fn servers_stand_side_by_side_and_only_ours_has_targets() {
        let mut good = row("Chroom 1");
        if let Some(figures) = &mut good.impaired {
            figures.utilisation = 0.9;
            figures.gaps_s = [0.1, 0.9, 0.1];
            figures.recovered_s = Some(4.9);
        }
        let away = Row { impaired: None, ..row("Chroom 3") };
        let rows = [row("Chroom 2"), row("Janus"), good, away];
        let text = table(&rows);
        assert_eq!(text.lines().count(), 6);
        let columns: Vec<usize> = text.lines().map(|line| line.matches('|').count()).collect();
        assert!(columns.iter().all(|count| *count == columns[0]), "{text}");
        assert_eq!(missed(&rows).len(), 4, "{:?}", missed(&rows));
        assert!(missed(&rows[1..3]).is_empty());
    }
}
