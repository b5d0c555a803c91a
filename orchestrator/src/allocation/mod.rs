//! Which media node takes a room.
//!
//! A pure function of what is known: filter (role, status, load report, version, residency, price), mark (distance, headroom with
//! reservations in flight, quality, health), then a weighted draw among the best few. The draw matters: load reports are
//! seconds old, and if each of many orchestrators took the best node, they would all take the same one. While there are few calls, nodes
//! that are as near and as good as the best have [turns](turn) instead.

mod budget;
pub mod distance;
mod explanation;
mod reservation;
mod span;
pub mod turn;

pub use budget::{Budget, Chr, Offer, TooDear};
pub use explanation::{Considered, Explanation, Verdict};
pub use reservation::{RESERVED_MS, Reservations, SESSION_KBPS};
pub use span::{MAX_NODES, NEARER_MS, Seated, seat};

use crate::index::{Load, NodeView};
use chroom_primitives::{H3Cell, NodeId, NodeStatus, Role, UnixMs};
use rand::{Rng, RngCore};
use std::collections::{BTreeMap, BTreeSet};

/// Oldest load report that counts, in milliseconds.
pub const FRESH_MS: u64 = 15_000;
/// Nodes that the draw is among.
const BEST: usize = 3;
/// A node takes part in the draw if its mark is at least this share of the best mark.
const NEARLY_BEST: f64 = 0.92;
/// Least headroom with which a node takes a new room.
const MIN_HEADROOM: f64 = 0.05;
/// Mark for quality of a node that was not scored yet: below a good node, above a bad one.
const UNSCORED: f64 = 0.7;

/// What a room asks of its media node, set by the application.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Constraints {
    /// H3 base cells (0 to 121) in which media may be processed; none: anywhere.
    pub residency: Option<BTreeSet<u8>>,
    /// Oldest software version that will do.
    pub min_version: Option<semver::Version>,
}

/// A room that looks for a place.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Where its first participant is.
    pub cell: Option<H3Cell>,
    /// What the application asks.
    pub constraints: Constraints,
    /// What the application can pay.
    pub budget: Budget,
    /// Nodes that are out of the question now, each with the reason.
    pub avoid: BTreeMap<NodeId, String>,
}

/// What was decided.
#[derive(Clone, PartialEq, Debug)]
pub struct Decision {
    /// The node, if one can take the room.
    pub node: Option<NodeId>,
    /// The cheapest of those that could take it but for their price.
    pub too_dear: Option<Offer>,
    /// Why.
    pub explanation: Explanation,
}

/// Decides which of `nodes` takes the room.
pub fn allocate(
    search: &Search,
    nodes: &[NodeView],
    reservations: &Reservations,
    now: UnixMs,
    rng: &mut dyn RngCore,
) -> Decision {
    let mut too_dear: Option<Offer> = None;
    let mut candidates: Vec<turn::Candidate<'_>> = Vec::new();
    let current = turn::Turn::at(now);
    let mut considered: Vec<Considered> = nodes
        .iter()
        .map(|node| {
            let away = search.cell.and_then(|cell| distance::between(cell, node.registration.cell));
            // The price comes last, so that whoever is left out for it could take the room otherwise.
            let price = node.registration.price_per_gib;
            let affordable = |judged| search.budget.affords(price).map(|()| judged);
            let verdict = match judge(search, node, away, reservations, now).map(affordable) {
                Ok(Ok(judged)) => {
                    candidates.push(turn::Candidate {
                        node: node.id(),
                        endpoint: &node.registration.endpoint,
                        rtt_ms: away.map_or(0.0, |d| d.rtt_ms()),
                        score: node.score,
                        loss: judged.loss,
                        failed: node.failed_in == Some(current),
                        carried_kbps: judged.carried_kbps,
                        committed_kbps: f64::from(node.registration.class.committed_kbps()),
                    });
                    Verdict::Eligible { mark: judged.mark }
                }
                Ok(Err(dear)) => {
                    let offer = Offer { node: node.id(), price };
                    too_dear = too_dear.filter(|cheapest| cheapest.price <= price).or(Some(offer));
                    Verdict::PassedOver { reason: dear.to_string() }
                }
                Err(reason) => Verdict::PassedOver { reason },
            };
            Considered { node: node.id(), km: away.map(|d| d.km as u32), turn: None, verdict }
        })
        .collect();
    considered.sort_by_key(|c| c.node);
    let choice = turn::choose(current, &candidates, rng);
    let node = choice.as_ref().map(|choice| choice.node).or_else(|| draw(&considered, rng));
    for entry in &mut considered {
        entry.turn = choice.as_ref().and_then(|choice| choice.places.get(&entry.node)).copied();
        if let (true, Verdict::Eligible { mark }) = (Some(entry.node) == node, &entry.verdict) {
            entry.verdict = Verdict::Chosen { mark: *mark };
        }
    }
    Decision { node, too_dear, explanation: Explanation { considered } }
}

/// A node that can take the room.
struct Judged {
    /// Its mark from 0 to 1.
    mark: f64,
    /// The part of it that a caller notices: all but what is free.
    service: f64,
    /// Packets lost towards receivers, in parts per 10,000.
    loss: u16,
    /// Egress with what is on its way, in kb/s.
    carried_kbps: f64,
}

/// The node's mark from 0 to 1, or why it cannot take the room, whatever it costs.
fn judge(
    search: &Search,
    node: &NodeView,
    away: Option<distance::Distance>,
    reservations: &Reservations,
    now: UnixMs,
) -> Result<Judged, String> {
    in_service(search, node)?;
    let registration = &node.registration;
    if let Some(residency) = &search.constraints.residency
        && !residency.contains(&registration.cell.base_cell())
    {
        return Err(format!("outside the application's residency ({})", node.region()));
    }
    if let Some(least) = &search.constraints.min_version {
        match semver::Version::parse(&node.version()) {
            Ok(version) if version >= *least => {}
            Ok(version) => return Err(format!("version {version} is older than {least}")),
            Err(_) => return Err("its version cannot be read".to_owned()),
        }
    }
    let Some(load) = &node.load else { return Err("has not reported its load".to_owned()) };
    let age = now.saturating_sub(load.made_ms);
    if age > FRESH_MS {
        return Err(format!("its load report is {} s old", age / 1_000));
    }
    let (headroom, reserved) = headroom(load, reservations, now)?;
    let report = &load.report;
    let quality = node.score.map_or(UNSCORED, |score| f64::from(score.0.min(10_000)) / 10_000.0);
    let health = 1.0 - (f64::from(report.loss.min(10_000)) / 10_000.0 * 10.0).min(1.0);
    let service = 0.4 * nearness(away) + 0.25 * quality + 0.1 * health;
    Ok(Judged {
        mark: service + 0.25 * headroom,
        service,
        loss: report.loss,
        carried_kbps: f64::from(report.egress_kbps) + f64::from(reserved) * f64::from(SESSION_KBPS),
    })
}

/// Why a node may not be used now, if so.
fn in_service(search: &Search, node: &NodeView) -> Result<(), String> {
    let registration = &node.registration;
    if registration.role != Role::Media {
        return Err("not a media node".to_owned());
    }
    if registration.status != NodeStatus::Active {
        return Err(format!("{:?} on the chain", registration.status).to_lowercase());
    }
    search.avoid.get(&node.id()).map_or(Ok(()), |reason| Err(reason.clone()))
}

/// The share of a node that is free, with what is on its way to it, and how many sessions that are; or why it takes none.
fn headroom(load: &Load, reservations: &Reservations, now: UnixMs) -> Result<(f64, u32), String> {
    let report = &load.report;
    if !report.accepting {
        return Err("does not accept new sessions".to_owned());
    }
    let reserved = reservations.sessions(&report.node, load.made_ms, now);
    let limit = f64::from(report.egress_limit_kbps.max(1));
    let reserved_share = f64::from(reserved) * f64::from(SESSION_KBPS) / limit;
    let egress = f64::from(report.egress_kbps) / limit + reserved_share;
    // A session costs CPU about in proportion to its share of the egress.
    let cpu = f64::from(report.cpu.min(10_000)) / 10_000.0 + reserved_share;
    let headroom = 1.0 - egress.max(cpu);
    if headroom < MIN_HEADROOM {
        return Err(format!(
            "no headroom: CPU {:.0} %, egress {:.0} %, with {reserved} sessions on their way",
            cpu * 100.0,
            egress * 100.0
        ));
    }
    Ok((headroom, reserved))
}

/// How near a node is, from 0 to 1. 300 ms and more are equally bad.
fn nearness(away: Option<distance::Distance>) -> f64 {
    away.map_or(0.5, |d| 1.0 - d.rtt_ms().min(300.0) / 300.0)
}

/// Draws among the best few nodes that are nearly as good as the best, better ones more often.
fn draw(considered: &[Considered], rng: &mut dyn RngCore) -> Option<NodeId> {
    let mut marks: Vec<(f64, NodeId)> = considered
        .iter()
        .filter_map(|c| match c.verdict {
            Verdict::Eligible { mark } => Some((mark, c.node)),
            _ => None,
        })
        .collect();
    marks.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let best = marks.first()?.0;
    marks.truncate(BEST);
    marks.retain(|(mark, _)| *mark >= best * NEARLY_BEST);
    let weight = |mark: f64| (mark / best.max(f64::MIN_POSITIVE)).powi(8);
    let total: f64 = marks.iter().map(|(mark, _)| weight(*mark)).sum();
    let mut point = rng.random::<f64>() * total;
    for (mark, node) in &marks {
        point -= weight(*mark);
        if point <= 0.0 {
            return Some(*node);
        }
    }
    marks.last().map(|(_, node)| *node)
}

#[cfg(test)]
mod tests;
