//! Where attacks begin to pay: one parameter is moved, everything else stays.

mod overcommitting;

use crate::{
    market::Market,
    outcome::Outcome,
    population::{AttestorStrategy, Group, MediaStrategy},
    scenario::{BASELINE, Scenario},
    simulation::{Failure, Size, run},
};
use sp_arithmetic::Perbill;

/// Media nodes of a cartel, in thousandths.
const FRIENDS: u32 = 50;
/// Attackers of the other sweeps, in thousandths.
const ATTACKERS: u32 = 100;

/// What the attackers of a network earn while a parameter moves.
#[derive(Clone, PartialEq, Debug)]
pub struct Sweep {
    /// Name in file names.
    pub name: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// What moves.
    pub x: &'static str,
    /// What is measured; 100 is the line.
    pub y: &'static str,
    /// The lines.
    pub lines: Vec<Line>,
}

/// A line of a sweep.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// What is special about it.
    pub name: String,
    /// Its points, by x.
    pub points: Vec<(f64, f64)>,
}

impl Line {
    /// Where the line crosses 100, between two points on the straight.
    pub fn crossings(&self) -> Vec<f64> {
        let crossing = |pair: &[(f64, f64)]| {
            let [(x0, y0), (x1, y1)] = *pair else { return None };
            let (before, after) = (y0 - 100.0, y1 - 100.0);
            ((before < 0.0) != (after < 0.0)).then(|| x0 + (x1 - x0) * before / (before - after))
        };
        self.points.windows(2).filter_map(crossing).collect()
    }
}

/// All sweeps, in networks of this size.
pub fn all(size: &Size) -> Result<Vec<Sweep>, Failure> {
    let mut sweeps = lying_share(size)?.to_vec();
    sweeps.push(burn_share(size)?);
    sweeps.push(tolerance(size)?);
    sweeps.push(utilisation(size)?);
    sweeps.extend(overcommitting::overcommitment(size)?);
    sweeps.push(overcommitting::twice(size)?);
    Ok(sweeps)
}

/// A cartel of attestors and of media nodes without machines, by the cartel's share of all attestors: its profit, and what remains to
/// the honest.
pub fn lying_share(size: &Size) -> Result<[Sweep; 2], Failure> {
    let mut cartels = Vec::new();
    let mut victims = Vec::new();
    let usual = Market::default().utilisation;
    for (committee_size, utilisation, name) in [
        (3, usual, "committee of 3"),
        (5, usual, "committee of 5"),
        (7, usual, "committee of 7"),
        (11, usual, "committee of 11"),
        (7, 0, "committee of 7, no callers"),
    ] {
        let shares: Vec<u32> = (0..=14).map(|step| 50 * step).collect();
        let mut scenarios = vec![Scenario::honest(BASELINE)];
        scenarios.extend(shares.iter().map(|share| {
            Scenario::honest("lying")
                .with_media(MediaStrategy::Friend, FRIENDS)
                .with_attestors(AttestorStrategy::Liar, *share)
        }));
        let scenarios: Vec<Scenario> = scenarios
            .into_iter()
            .map(|scenario| {
                let mut scenario = scenario.scaled(size.nodes);
                scenario.parameters.committee_size = committee_size;
                scenario.market.utilisation = utilisation;
                scenario
            })
            .collect();
        let outcomes = run(size, &scenarios)?;
        let Some((baseline, attacked)) = outcomes.split_first() else { continue };
        let points = |measure: fn(&Outcome, &Outcome) -> f64| {
            let percent = shares.iter().map(|share| f64::from(*share) / 10.0);
            percent.zip(attacked.iter().map(|outcome| measure(outcome, baseline))).collect()
        };
        cartels.push(Line { name: name.to_owned(), points: points(cartel) });
        victims.push(Line { name: name.to_owned(), points: points(victim) });
    }
    let x = "attestors in the cartel, % of all";
    let cartels = Sweep {
        name: "lying-share",
        title: "A cartel's profit",
        x,
        y: "% of what the same seats earn honestly",
        lines: cartels,
    };
    let victims = Sweep {
        name: "lying-share-victims",
        title: "What a cartel leaves to honest media nodes",
        x,
        y: "% of their profit without the cartel",
        lines: victims,
    };
    Ok([cartels, victims])
}

/// The profit of liars and their friends, in per cent of what so many honest seats earn where all are honest.
fn cartel(outcome: &Outcome, baseline: &Outcome) -> f64 {
    let (mut profit, mut honest) = (0.0, 0.0);
    for (attackers, same) in [
        (Group::Attestors(AttestorStrategy::Liar), Group::Attestors(AttestorStrategy::Honest)),
        (Group::Media(MediaStrategy::Friend), Group::Media(MediaStrategy::Honest)),
    ] {
        if let Some(attackers) = outcome.group(attackers) {
            profit += attackers.tally.profit() as f64;
            let thousands = attackers.bond as f64 / 1_000.0;
            honest += baseline.return_on_bond(same) * thousands * f64::from(baseline.epochs);
        }
    }
    percent(profit, honest)
}

fn victim(outcome: &Outcome, baseline: &Outcome) -> f64 {
    let honest = Group::Media(MediaStrategy::Honest);
    percent(outcome.return_on_bond(honest), baseline.return_on_bond(honest))
}

/// Self-dealers, by the share of fees that is burnt, with nothing for the reserve.
pub fn burn_share(size: &Size) -> Result<Sweep, Failure> {
    let lines = [5, 20].map(|gib| {
        let scenario = |burnt: u32| {
            let mut scenario = Scenario::honest("burn").with_media(MediaStrategy::SelfDealer, ATTACKERS);
            scenario.parameters.burn_share = Perbill::from_percent(burnt);
            scenario.parameters.reserve_share = Perbill::zero();
            scenario.market.self_dealt_gib = gib;
            scenario
        };
        let values: Vec<u32> = (0..=10).map(|step| 2 * step).collect();
        let name = format!("{gib} GiB an hour with itself");
        line(size, name, Group::Media(MediaStrategy::SelfDealer), &values, scenario)
    });
    Ok(Sweep {
        name: "burn-share",
        title: "Self-dealing",
        x: "share of fees that is burnt, %",
        y: "self-dealers' profit, % of an honest node's",
        lines: lines.into_iter().collect::<Result<_, _>>()?,
    })
}

/// Attestors that measure nothing, by how far from the median a score may lie.
pub fn tolerance(size: &Size) -> Result<Sweep, Failure> {
    let lines = [(100, "scores move by 1 point"), (200, "by 2 points"), (400, "by 4 points")].map(|(moves, name)| {
        let scenario = |tolerance: u16| {
            let mut scenario = Scenario::honest("tolerance").with_attestors(AttestorStrategy::FreeRider, ATTACKERS);
            scenario.parameters.tolerance = tolerance;
            scenario.market.score_between_epochs = moves;
            scenario
        };
        let attackers = Group::Attestors(AttestorStrategy::FreeRider);
        let values = [50, 100, 150, 200, 250, 300, 400, 500, 600, 800, 1_000];
        let line = line(size, name.to_owned(), attackers, &values, scenario)?;
        // In points.
        Ok::<_, Failure>(Line { points: line.points.iter().map(|(x, y)| (x / 100.0, *y)).collect(), ..line })
    });
    Ok(Sweep {
        name: "tolerance",
        title: "Attesting without measuring",
        x: "tolerance around the median, points",
        y: "free riders' profit, % of a measuring attestor's",
        lines: lines.into_iter().collect::<Result<_, _>>()?,
    })
}

/// Nodes without a machine, by how much the network is used.
pub fn utilisation(size: &Size) -> Result<Sweep, Failure> {
    let scenario = |percent: u32| {
        let mut scenario = Scenario::honest("utilisation").with_media(MediaStrategy::Ghost, ATTACKERS);
        scenario.market.utilisation = 100 * u64::from(percent);
        scenario
    };
    let values: Vec<u32> = (0..=10).map(|step| 4 * step).collect();
    let ghosts = Group::Media(MediaStrategy::Ghost);
    Ok(Sweep {
        name: "utilisation",
        title: "Nodes without a machine",
        x: "mean load of honest machines, %",
        y: "ghosts' profit, % of an honest node's",
        lines: vec![line(size, "ghosts".to_owned(), ghosts, &values, scenario)?],
    })
}

/// What attackers earn in scenarios that one number makes, in per cent of what the honest of their role earn beside them.
fn line<X: Copy + Into<f64>>(
    size: &Size,
    name: String,
    attackers: Group,
    values: &[X],
    scenario: impl Fn(X) -> Scenario,
) -> Result<Line, Failure> {
    let scenarios: Vec<Scenario> = values.iter().map(|value| scenario(*value).scaled(size.nodes)).collect();
    let outcomes = run(size, &scenarios)?;
    let honest = match attackers {
        Group::Media(_) => Group::Media(MediaStrategy::Honest),
        Group::Attestors(_) => Group::Attestors(AttestorStrategy::Honest),
    };
    let profit = |outcome: &Outcome| percent(outcome.return_on_bond(attackers), outcome.return_on_bond(honest));
    let points = values.iter().zip(&outcomes).map(|(value, outcome)| ((*value).into(), profit(outcome))).collect();
    Ok(Line { name, points })
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { 100.0 * part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const SMALL: Size = Size { epochs: 24, nodes: 2_000, attestors: 60, seed: 3, threads: 2 };

    #[test]
    fn a_line_is_crossed_between_its_points() {
        let line = |points: &[(f64, f64)]| Line { name: String::new(), points: points.to_vec() }.crossings();
        assert_eq!(line(&[(0.0, 50.0), (1.0, 90.0), (2.0, 110.0), (4.0, 90.0)]), [1.5, 3.0]);
        assert_eq!(line(&[(0.0, 150.0), (10.0, 50.0)]), [5.0]);
        assert!(line(&[(0.0, 50.0), (1.0, 60.0)]).is_empty() && line(&[]).is_empty());
    }

    #[test]
    fn a_cartel_needs_more_than_half_of_the_attestors() {
        let [cartels, victims] = lying_share(&SMALL).unwrap();
        for line in &cartels.lines {
            let third = line.points.iter().find(|(x, _)| *x == 35.0).unwrap().1;
            assert!(third < 50.0, "{}: {third}", line.name);
            assert!(line.crossings().iter().all(|x| *x > 50.0), "{}", line.name);
        }
        for line in &victims.lines {
            assert!(line.points.windows(2).all(|pair| pair[1].1 <= pair[0].1 + 1.0), "{}", line.name);
        }
        // A larger committee protects the honest better while the cartel is the minority.
        let at_third = |line: &Line| line.points.iter().find(|(x, _)| *x == 35.0).unwrap().1;
        assert!(at_third(&victims.lines[0]) < at_third(&victims.lines[2]));
        assert!(at_third(&victims.lines[2]) < at_third(&victims.lines[3]));
    }

    #[test]
    fn measuring_nothing_pays_once_the_tolerance_is_wide() {
        let sweep = tolerance(&SMALL).unwrap();
        for line in &sweep.lines {
            let (narrow, wide) = (line.points[0], line.points[line.points.len() - 1]);
            assert!(narrow.1 < 100.0 && wide.1 > 100.0, "{}: {:?}", line.name, line.points);
        }
        // The more scores move, the wider the tolerance may be.
        let crossings: Vec<f64> = sweep.lines.iter().flat_map(Line::crossings).collect();
        assert!(crossings.len() == 3 && crossings.windows(2).all(|pair| pair[0] < pair[1]), "{crossings:?}");
    }

    #[test]
    fn ghosts_out_earn_machines_only_where_nobody_calls() {
        let line = utilisation(&SMALL).unwrap().lines.remove(0);
        assert!(line.points[0].1 > 100.0 && line.points[line.points.len() - 1].1 < 100.0, "{:?}", line.points);
    }

    #[test]
    fn self_dealing_never_pays_and_costs_more_the_more_is_burnt() {
        for line in burn_share(&SMALL).unwrap().lines {
            assert!((line.points[0].1 - 100.0).abs() < 5.0, "without a burn it is for nothing: {:?}", line.points[0]);
            assert!(line.points.windows(2).all(|pair| pair[1].1 < pair[0].1), "{:?}", line.points);
        }
    }
}
