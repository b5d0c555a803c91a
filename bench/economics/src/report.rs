//! Tables, a line of JSON, and plots.

use crate::{
    outcome::{GroupOutcome, Outcome, chr},
    plot::{self, Bar},
    population::{AttestorStrategy, Group, MediaStrategy},
    scenario::{BASELINE, TOGETHER},
    simulation::Size,
    sweep::{Line, Sweep},
};
use serde_json::{Value, json};
use std::fmt::Write;

/// One file of a report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// Everything that is written for these outcomes.
pub fn files(outcomes: &[Outcome], sweeps: &[Sweep]) -> Vec<File> {
    let file = |name: &str, text: String| File { name: format!("economics-{name}"), text };
    let mut files = vec![
        file("strategies.csv", strategies(outcomes)),
        file("sweeps.csv", sweep_table(sweeps)),
        file("media.svg", chart(outcomes, "media", "Media nodes: profit of an epoch per 1,000 CHR bonded, in CHR")),
        file(
            "attestors.svg",
            chart(outcomes, "attestor", "Attestors: profit of an epoch per 1,000 CHR bonded, in CHR"),
        ),
    ];
    if let Some(together) = outcomes.iter().find(|outcome| outcome.scenario == TOGETHER) {
        files.push(file("course.svg", course(together)));
    }
    files.extend(sweeps.iter().map(|sweep| {
        let svg = plot::lines(sweep.title, sweep.x, sweep.y, &sweep.lines, Some(100.0));
        file(&format!("{}.svg", sweep.name), svg)
    }));
    files
}

/// A row for each scenario and group: means of an epoch in CHR.
fn strategies(outcomes: &[Outcome]) -> String {
    let mut table = "scenario,role,strategy,seats,bond_chr,subsidy,fees,attestation,bounties,own_orchestrator,self_paid,slashed,cost,\
                     profit,profit_per_seat,profit_per_1000_chr_bonded,profit_per_cost,percent_of_honest_beside,percent_of_honest_alone\n"
        .to_owned();
    for outcome in outcomes {
        for one in &outcome.groups {
            let mean = |amount: u128| amount as f64 / chroom_primitives::CHR as f64 / f64::from(outcome.epochs.max(1));
            let tally = &one.tally;
            let (beside, alone) = held_against(outcome, one, outcomes);
            let _ = writeln!(
                table,
                "{},{},{},{},{:.0},{:.4},{:.4},{:.4},{:.4},{:.4},{:.4},{:.4},{:.4},{:.4},{:.6},{:.6},{},{},{}",
                outcome.scenario,
                one.group.role(),
                one.group.strategy(),
                one.seats,
                one.bond as f64 / chroom_primitives::CHR as f64,
                mean(tally.subsidy),
                mean(tally.fees),
                mean(tally.attestation),
                mean(tally.bounties),
                mean(tally.own_orchestrator),
                mean(tally.self_paid),
                mean(tally.slashed),
                mean(tally.cost),
                chr(tally.profit()) / f64::from(outcome.epochs.max(1)),
                one.profit_per_seat(outcome.epochs),
                one.return_on_bond(outcome.epochs),
                number(one.return_on_cost()),
                number(beside),
                number(alone),
            );
        }
    }
    table
}

/// A group's return on its bond in per cent of an honest one's of its role: beside it in its scenario, and where all are honest.
fn held_against(outcome: &Outcome, one: &GroupOutcome, outcomes: &[Outcome]) -> (Option<f64>, Option<f64>) {
    let honest = match one.group {
        Group::Media(_) => Group::Media(MediaStrategy::Honest),
        Group::Attestors(_) => Group::Attestors(AttestorStrategy::Honest),
    };
    let percent = |of: &Outcome| {
        let whole = of.return_on_bond(honest);
        (whole > 0.0).then(|| 100.0 * one.return_on_bond(outcome.epochs) / whole)
    };
    (percent(outcome), outcomes.iter().find(|one| one.scenario == BASELINE).and_then(percent))
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.3}"))
}

fn sweep_table(sweeps: &[Sweep]) -> String {
    let mut table = "sweep,line,x,percent\n".to_owned();
    for sweep in sweeps {
        for line in &sweep.lines {
            for (x, y) in &line.points {
                // A line's name may hold a comma.
                let _ = writeln!(table, "{},\"{}\",{x},{y:.3}", sweep.name, line.name);
            }
        }
    }
    table
}

/// Each scenario's groups of a role: where all are honest, and then the attackers beside the honest.
fn chart(outcomes: &[Outcome], role: &str, x: &str) -> String {
    let mut bars = Vec::new();
    for outcome in outcomes {
        let groups: Vec<&GroupOutcome> = outcome.groups.iter().filter(|one| one.group.role() == role).collect();
        let is_attacked = groups.len() > 1 || outcome.scenario == BASELINE || outcome.groups.len() > 2;
        for one in groups.into_iter().filter(|_| is_attacked) {
            bars.push(Bar {
                name: format!("{}: {}", outcome.scenario, one.group.strategy()),
                value: one.return_on_bond(outcome.epochs),
                reference: one.group.strategy() == "honest",
            });
        }
    }
    plot::bars("What each strategy earns", x, &bars)
}

fn course(outcome: &Outcome) -> String {
    let line = |(group, points): (Group, Vec<(f64, f64)>)| Line {
        name: format!("{}: {}", group.role(), group.strategy()),
        points: [(0.0, 0.0)].into_iter().chain(points).collect(),
    };
    let lines: Vec<Line> = outcome.courses().into_iter().map(line).collect();
    plot::lines("All at once", "epoch", "profit so far per 1,000 CHR bonded, CHR", &lines, None)
}

/// The report in one line.
pub fn json(size: &Size, outcomes: &[Outcome], sweeps: &[Sweep]) -> Value {
    let group = |outcome: &Outcome, one: &GroupOutcome| {
        let (beside, alone) = held_against(outcome, one, outcomes);
        json!({
            "role": one.group.role(),
            "strategy": one.group.strategy(),
            "seats": one.seats,
            "profitPerSeat": one.profit_per_seat(outcome.epochs),
            "profitPer1000Bonded": one.return_on_bond(outcome.epochs),
            "profitPerCost": one.return_on_cost(),
            "percentOfHonestBeside": beside,
            "percentOfHonestAlone": alone,
        })
    };
    let scenario = |outcome: &Outcome| {
        let groups: Vec<Value> = outcome.groups.iter().map(|one| group(outcome, one)).collect();
        json!({ "name": outcome.scenario, "groups": groups })
    };
    let line = |line: &Line| json!({ "name": line.name, "crosses100At": line.crossings() });
    let sweep = |sweep: &Sweep| json!({ "name": sweep.name, "x": sweep.x, "lines": sweep.lines.iter().map(line).collect::<Vec<_>>() });
    json!({
        "simulation": "economics",
        "epochs": size.epochs,
        "nodes": size.nodes,
        "attestors": size.attestors,
        "seed": size.seed,
        "scenarios": outcomes.iter().map(scenario).collect::<Vec<_>>(),
        "sweeps": sweeps.iter().map(sweep).collect::<Vec<_>>(),
    })
}

/// The outcomes for people: one line for each scenario and group.
pub fn summary(outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "{:<18} {:<9} {:<15} {:>6} {:>22} {:>14} {:>16}\n",
        "scenario", "role", "strategy", "seats", "CHR / 1,000 bonded / h", "% honest there", "% honest alone"
    );
    for outcome in outcomes {
        for one in &outcome.groups {
            let (beside, alone) = held_against(outcome, one, outcomes);
            let percent = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.1}"));
            let _ = writeln!(
                text,
                "{:<18} {:<9} {:<15} {:>6} {:>22.5} {:>14} {:>16}",
                outcome.scenario,
                one.group.role(),
                one.group.strategy(),
                one.seats,
                one.return_on_bond(outcome.epochs),
                percent(beside),
                percent(alone)
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{scenario::catalogue, simulation::run};

    #[test]
    fn a_report_has_a_row_and_a_bar_for_each_strategy() {
        let size = Size { epochs: 4, nodes: 800, attestors: 40, seed: 1, threads: 2 };
        let outcomes = run(&size, &catalogue()).unwrap();
        let sweep = Sweep {
            name: "test",
            title: "t",
            x: "x",
            y: "y",
            lines: vec![Line { name: "a, b".into(), points: vec![(0.0, 90.0), (1.0, 110.0)] }],
        };
        let files = files(&outcomes, std::slice::from_ref(&sweep));
        let text = |name: &str| &files.iter().find(|file| file.name == name).unwrap().text;
        let table = text("economics-strategies.csv");
        let columns = table.lines().next().unwrap().split(',').count();
        assert!(table.lines().all(|line| line.split(',').count() == columns));
        assert_eq!(table.lines().count(), 1 + outcomes.iter().map(|one| one.groups.len()).sum::<usize>());
        assert_eq!(text("economics-sweeps.csv").lines().nth(2), Some("test,\"a, b\",1,110.000"));
        for strategy in MediaStrategy::ALL {
            assert!(text("economics-media.svg").contains(strategy.name()), "{strategy:?}");
        }
        for strategy in AttestorStrategy::ALL {
            assert!(text("economics-attestors.svg").contains(strategy.name()), "{strategy:?}");
        }
        assert!(text("economics-course.svg").contains("media: ghost"));
        let json = json(&size, &outcomes, &[sweep]);
        assert_eq!(json["sweeps"][0]["lines"][0]["crosses100At"][0], 0.5);
        assert_eq!(json["scenarios"].as_array().unwrap().len(), outcomes.len());
        assert_eq!(summary(&outcomes).lines().count(), table.lines().count());
    }
}
