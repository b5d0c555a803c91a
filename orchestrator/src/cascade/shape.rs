//! Who is above whom: pure functions of the seats, oldest first.

use super::seat::Seat;
use crate::allocation::distance;
use chroom_primitives::NodeId;

/// Children that a node gets while another one will do: each of them costs it a copy of what is watched behind it.
pub const MAX_CHILDREN: usize = 4;
/// Hops from the root while there is a choice. Between any two nodes there are at most twice as many then; a track's path may
/// have 8 nodes.
pub const MAX_DEPTH: usize = 2;
/// Round trip that is assumed where a place isn't known, in milliseconds.
const UNKNOWN_MS: f64 = 100.0;
/// How much the way to the root counts beside the own pipe. The pipes' length is what the network carries, the way to the root is what
/// callers hear as delay: a node in Paris goes by London to New York, but not one in Boston.
const WAY_WEIGHT: f64 = 0.5;

/// An older seat, as a place to join.
struct Spot {
    node: NodeId,
    depth: usize,
    /// Round trips from it to the root, in milliseconds.
    way: f64,
}

/// Gives each seat its parent. Who has one that will do keeps it.
///
/// The oldest is the root. One that is leaving stays the root until it is gone, with those as its children that have no other older seat
/// that stays: among them the oldest that stays, its heir, which takes all others.
pub(super) fn settle(seats: &mut [Seat]) {
    let Some(root) = seats.first().map(|seat| seat.node) else { return };
    let mut spots: Vec<Spot> = Vec::with_capacity(seats.len());
    for at in 0..seats.len() {
        let counts: Vec<Option<NodeId>> = seats.iter().map(|seat| seat.parent).collect();
        let (older, rest) = seats.split_at_mut(at);
        let Some((seat, younger)) = rest.split_first_mut() else { return };
        let allowed = allowed(older, seat);
        if !seat.parent.is_some_and(|parent| allowed.contains(&parent)) {
            let height = height(seat.node, younger);
            let cost = |spot: &Spot| {
                let children = counts.iter().filter(|parent| **parent == Some(spot.node)).count();
                let over = (spot.depth + 1 + height > MAX_DEPTH, children >= MAX_CHILDREN);
                let tier = if over.0 { 2 } else { u8::from(over.1) };
                let to = older.iter().find(|other| other.node == spot.node);
                let own = to.map_or(UNKNOWN_MS, |to| lag_ms(to, seat));
                (tier, own + WAY_WEIGHT * spot.way)
            };
            let parent = spots
                .iter()
                .filter(|spot| allowed.contains(&spot.node))
                .map(|spot| (cost(spot), spot))
                .min_by(|((tier, cost), a), ((other_tier, other), b)| {
                    tier.cmp(other_tier).then(cost.total_cmp(other)).then(a.depth.cmp(&b.depth))
                })
                .map(|(_, spot)| spot.node);
            seat.set_parent(parent);
        }
        // Depths count from the root that there will be: the heir's is 0 while an older one is leaving.
        let above = spots.iter().find(|spot| Some(spot.node) == seat.parent);
        let is_first = seat.node == root || older.iter().all(|other| other.leaving.is_some());
        let to = older.iter().find(|other| Some(other.node) == seat.parent);
        let (depth, way) = match (above, to) {
            (Some(above), Some(to)) if !is_first => (above.depth + 1, above.way + lag_ms(to, seat)),
            _ => (0, 0.0),
        };
        spots.push(Spot { node: seat.node, depth, way });
    }
}

/// The older seats that may be above one.
fn allowed(older: &[Seat], seat: &Seat) -> Vec<NodeId> {
    let staying = || older.iter().filter(|other| other.leaving.is_none()).map(|other| other.node);
    let good: Vec<NodeId> = staying().filter(|node| !seat.shuns(*node)).collect();
    if !good.is_empty() {
        return good;
    }
    // A parent that can't be reached now is better than none.
    let any: Vec<NodeId> = staying().collect();
    if any.is_empty() { older.first().map(|root| root.node).into_iter().collect() } else { any }
}

/// The node that takes a dead parent's place: the oldest that stays, other than the parent. All children of a dead root so meet at the same
/// node, and of another node at the root.
pub(super) fn standby(seats: &[Seat], seat: &Seat) -> Option<NodeId> {
    let parent = seat.parent?;
    seats
        .iter()
        .take_while(|other| other.fence < seat.fence)
        .filter(|other| other.leaving.is_none() && other.node != parent && !seat.shuns(other.node))
        .map(|other| other.node)
        .next()
}

/// Levels below a seat, all of which are younger.
fn height(node: NodeId, younger: &[Seat]) -> usize {
    let mut height = 0;
    for (at, seat) in younger.iter().enumerate() {
        if seat.parent == Some(node) {
            height = height.max(1 + self::height(seat.node, younger.get(at + 1..).unwrap_or_default()));
        }
    }
    height
}

/// Round trip between two seats' nodes in milliseconds, estimated.
fn lag_ms(a: &Seat, b: &Seat) -> f64 {
    let away = a.cell.zip(b.cell).and_then(|(a, b)| distance::between(a, b));
    away.map_or(UNKNOWN_MS, |away| away.rtt_ms())
}
