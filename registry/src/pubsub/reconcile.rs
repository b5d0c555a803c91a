//! Anti-entropy: two registries find out in which records they differ, and exchange just those.
//!
//! Range-based set reconciliation (negentropy, protocol version 1): the sets are compared by fingerprints of ranges in the order
//! of places, ranges that differ are split. Then the side that asked fetches what it lacks and offers what the other lacks. The
//! asking side keeps the state; the answering side has none, so an answer costs a bounded amount whatever came before.

use crate::datastore::{merge::MAX_VERSIONS, record_set::RecordSet};
use chroom_primitives::{Hash, NodeId, Signed, record::NodeRecord};
use codec::{Decode, Encode};
use negentropy::{Id, Negentropy};
use std::sync::Arc;

/// Largest comparison frame in bytes.
pub const FRAME: u64 = 64 * 1024;
/// Most frames that one comparison takes.
pub const MAX_ROUNDS: u32 = 256;
/// Nodes per fetch or offer.
pub const BATCH: usize = 256;
/// Most differences that one comparison handles; the next one handles the rest.
pub const MAX_DIFFERENCES: usize = 250_000;

/// What one registry asks of another.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Request {
    /// A comparison frame.
    Compare(Vec<u8>),
    /// The records with these hashes, at most [`BATCH`].
    Fetch(Vec<Hash>),
    /// Records that the other lacks, those of at most [`BATCH`] nodes.
    Offer(Vec<Signed<NodeRecord>>),
}

/// What the other answers.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Answer {
    /// A comparison frame.
    Compare(Vec<u8>),
    /// All versions of the records' nodes.
    Records(Vec<Signed<NodeRecord>>),
    /// The offer was taken.
    Taken,
    /// Too many requests, or not yet able to serve: try later.
    Busy,
}

/// The other side does not keep to the protocol.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A frame is malformed.
    #[error("malformed comparison frame: {0}")]
    Frame(String),
    /// An answer to something else.
    #[error("the answer does not fit the request")]
    OutOfTurn,
    /// Too long or too many.
    #[error("more than {0} items in one message")]
    TooMany(usize),
    /// The comparison does not come to an end.
    #[error("the comparison took more than {MAX_ROUNDS} rounds")]
    Endless,
    /// The other side has no time.
    #[error("the peer is busy")]
    Busy,
}

impl From<negentropy::Error> for ReconcileError {
    fn from(error: negentropy::Error) -> Self {
        Self::Frame(format!("{error:?}"))
    }
}

/// What to do next on the asking side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Turn {
    /// Records to merge.
    pub merge: Vec<Signed<NodeRecord>>,
    /// The next request; none at the end.
    pub ask: Option<Request>,
}

/// What a comparison came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Frames exchanged.
    pub rounds: u32,
    /// Records that were lacking here.
    pub needed: usize,
    /// Records that were lacking there.
    pub offered: usize,
}

/// The asking side of one comparison.
#[derive(Debug)]
pub struct Comparison {
    set: Arc<RecordSet>,
    phase: Phase,
    need: Vec<Hash>,
    have: Vec<Hash>,
    summary: Summary,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Comparing,
    Fetching,
    Offering,
}

impl Comparison {
    /// Begins to compare `set` with another registry's.
    pub fn start(set: Arc<RecordSet>) -> Result<(Self, Request), ReconcileError> {
        let frame = Negentropy::borrowed(set.storage(), FRAME)?.initiate()?;
        let this =
            Self { set, phase: Phase::Comparing, need: Vec::new(), have: Vec::new(), summary: Summary::default() };
        Ok((this, Request::Compare(frame)))
    }

    /// What it came to so far.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// Takes an answer; `versions` gives a node's records to offer.
    pub fn on_answer(
        &mut self,
        answer: Answer,
        versions: impl Fn(&NodeId) -> Vec<Signed<NodeRecord>>,
    ) -> Result<Turn, ReconcileError> {
        match (self.phase, answer) {
            (_, Answer::Busy) => Err(ReconcileError::Busy),
            (Phase::Comparing, Answer::Compare(frame)) => {
                self.summary.rounds += 1;
                if self.summary.rounds > MAX_ROUNDS {
                    return Err(ReconcileError::Endless);
                }
                let (mut have, mut need) = (Vec::new(), Vec::new());
                let mut session = Negentropy::borrowed(self.set.storage(), FRAME)?;
                session.set_initiator();
                let next = session.reconcile_with_ids(&frame, &mut have, &mut need)?;
                collect(&mut self.have, have);
                collect(&mut self.need, need);
                self.summary.needed = self.need.len();
                self.summary.offered = self.have.len();
                match next {
                    Some(frame) => Ok(Turn { merge: Vec::new(), ask: Some(Request::Compare(frame)) }),
                    None => Ok(Turn { merge: Vec::new(), ask: self.proceed(versions) }),
                }
            }
            (Phase::Fetching, Answer::Records(records)) => {
                if records.len() > BATCH * MAX_VERSIONS {
                    return Err(ReconcileError::TooMany(BATCH * MAX_VERSIONS));
                }
                Ok(Turn { merge: records, ask: self.proceed(versions) })
            }
            (Phase::Offering, Answer::Taken) => Ok(Turn { merge: Vec::new(), ask: self.proceed(versions) }),
            _ => Err(ReconcileError::OutOfTurn),
        }
    }

    fn proceed(&mut self, versions: impl Fn(&NodeId) -> Vec<Signed<NodeRecord>>) -> Option<Request> {
        if !self.need.is_empty() {
            self.phase = Phase::Fetching;
            let rest = self.need.len().saturating_sub(BATCH);
            return Some(Request::Fetch(self.need.split_off(rest)));
        }
        if !self.have.is_empty() {
            self.phase = Phase::Offering;
            let rest = self.have.len().saturating_sub(BATCH);
            let batch = self.have.split_off(rest);
            let records = batch.iter().filter_map(|hash| self.set.owner(hash)).flat_map(versions).collect();
            return Some(Request::Offer(records));
        }
        None
    }
}

fn collect(into: &mut Vec<Hash>, ids: Vec<Id>) {
    let room = MAX_DIFFERENCES.saturating_sub(into.len());
    into.extend(ids.into_iter().take(room).map(|id| Hash::from(id.to_bytes())));
}

/// The answering side: what to answer, and which records to merge.
pub fn answer(
    set: &RecordSet,
    request: Request,
    versions: impl Fn(&NodeId) -> Vec<Signed<NodeRecord>>,
) -> Result<(Answer, Vec<Signed<NodeRecord>>), ReconcileError> {
    match request {
        Request::Compare(frame) => {
            if frame.len() as u64 > FRAME * 2 {
                return Err(ReconcileError::TooMany(FRAME as usize * 2));
            }
            let frame = Negentropy::borrowed(set.storage(), FRAME)?.reconcile(&frame)?;
            Ok((Answer::Compare(frame), Vec::new()))
        }
        Request::Fetch(hashes) => {
            if hashes.len() > BATCH {
                return Err(ReconcileError::TooMany(BATCH));
            }
            let records = hashes.iter().filter_map(|hash| set.owner(hash)).flat_map(versions).collect();
            Ok((Answer::Records(records), Vec::new()))
        }
        Request::Offer(records) => {
            if records.len() > BATCH * MAX_VERSIONS {
                return Err(ReconcileError::TooMany(BATCH * MAX_VERSIONS));
            }
            Ok((Answer::Taken, records))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        datastore::merge::{Book, Standing},
        testing::{GENESIS, draft, resign},
    };
    use chroom_primitives::{Role, UnixMs};
    use chroom_wallet::Wallet;
    use proptest::prelude::*;

    const NOW: UnixMs = 1_800_000_000_000;

    /// A small deterministic generator: what happens in a simulation is a function of its seed.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % sides
        }
    }

    struct Network {
        books: Vec<Book>,
        dice: Dice,
        loss_percent: usize,
        /// Registries in different groups cannot talk.
        group: Vec<usize>,
        messages: usize,
    }

    impl Network {
        fn merge(&mut self, at: usize, record: &Signed<NodeRecord>, now: UnixMs) {
            self.books[at].merge(record.clone(), Standing::Member(Role::Media), &GENESIS, now);
        }

        fn gossip(&mut self, from: usize, record: &Signed<NodeRecord>, now: UnixMs) {
            self.merge(from, record, now);
            for to in 0..self.books.len() {
                if self.group[to] == self.group[from] && self.dice.roll(100) >= self.loss_percent {
                    self.merge(to, record, now);
                }
            }
        }

        /// One comparison over a transport that may lose any message, which ends it.
        fn reconcile(&mut self, asking: usize, answering: usize, now: UnixMs) {
            if self.group[asking] != self.group[answering] {
                return;
            }
            let set = Arc::new(RecordSet::of(&self.books[asking]).unwrap());
            let (mut comparison, request) = Comparison::start(set).unwrap();
            let mut request = Some(request);
            while let Some(ask) = request.take() {
                self.messages += 2;
                if self.dice.roll(100) < self.loss_percent / 5 {
                    return;
                }
                let wire = ask.encode();
                let ask = Request::decode(&mut &*wire).unwrap();
                let set = RecordSet::of(&self.books[answering]).unwrap();
                let theirs = &self.books[answering];
                let (reply, merge) = answer(&set, ask, |node| versions(theirs, node)).unwrap();
                for record in merge {
                    self.merge(answering, &record, now);
                }
                if self.dice.roll(100) < self.loss_percent / 5 {
                    return;
                }
                let ours = self.books[asking].clone();
                let turn = comparison.on_answer(reply, |node| versions(&ours, node)).unwrap();
                for record in turn.merge {
                    self.merge(asking, &record, now);
                }
                request = turn.ask;
            }
        }
    }

    fn versions(book: &Book, node: &NodeId) -> Vec<Signed<NodeRecord>> {
        book.versions(node).map(|v| v.iter().map(|v| v.signed.clone()).collect()).unwrap_or_default()
    }

    fn wallets(count: u16) -> Vec<Wallet> {
        (1..=count)
            .map(|n| {
                let mut secret = [9u8; 32];
                secret[..2].copy_from_slice(&n.to_be_bytes());
                Wallet::from_secret(&secret).unwrap()
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn half_the_gossip_lost_and_a_partition_leave_no_divergence(seed: u64) {
            let writers = wallets(50);
            let mut network = Network {
                books: vec![Book::default(); 5],
                dice: Dice(seed),
                loss_percent: 50,
                group: vec![0; 5],
                messages: 0,
            };
            let mut newest = std::collections::BTreeMap::new();
            for step in 0..200u64 {
                let now = NOW + step * 500;
                // The network falls apart for the middle half.
                network.group = if (50..150).contains(&step) { vec![0, 0, 1, 1, 1] } else { vec![0; 5] };
                let writer = &writers[network.dice.roll(writers.len())];
                let mut record = draft(writer, Role::Media, now);
                record.left = network.dice.roll(10) == 0;
                let record = resign(writer, record);
                let at = network.dice.roll(5);
                network.gossip(at, &record, now);
                newest.insert(writer.node_id(), record.payload.seq);
                if step % 20 == 0 {
                    let (a, b) = (network.dice.roll(5), network.dice.roll(5));
                    network.reconcile(a, b, now);
                }
            }
            // Healed, gossip silent: rounds of comparisons bring all together. A tenth of their messages is lost, which ends them, so the number
            // of rounds is chance (eight were too few once).
            let now = NOW + 110_000;
            let seqs = |book: &Book| -> std::collections::BTreeMap<_, _> {
                book.iter().map(|(node, v)| (*node, v.current().unwrap().signed.payload.seq)).collect()
            };
            for _ in 0..64 {
                if network.books.iter().all(|book| seqs(book) == newest) {
                    break;
                }
                for asking in 0..5 {
                    let answering = (asking + 1 + network.dice.roll(4)) % 5;
                    network.reconcile(asking, answering, now);
                }
            }
            for book in &network.books {
                prop_assert_eq!(&seqs(book), &newest);
            }
        }
    }

    #[test]
    fn equal_sets_cost_one_round_and_a_difference_costs_few() {
        let writers = wallets(400);
        let mut full = Book::default();
        for writer in &writers {
            let mut record = draft(writer, Role::Media, NOW);
            // Spread over a few cells, as places are the order of the set.
            record.cell = chroom_primitives::H3Cell(
                h3o::LatLng::new(f64::from(writer.node_id().0[0]) / 3.0, f64::from(writer.node_id().0[1]))
                    .unwrap()
                    .to_cell(h3o::Resolution::Five)
                    .into(),
            );
            full.merge(resign(writer, record), Standing::Member(Role::Media), &GENESIS, NOW);
        }
        let mut network =
            Network { books: vec![full.clone(), full], dice: Dice(1), loss_percent: 0, group: vec![0; 2], messages: 0 };
        network.reconcile(0, 1, NOW);
        assert_eq!(network.messages, 2);
        let gone = writers[17].node_id();
        network.books[1].remove(&gone);
        network.messages = 0;
        network.reconcile(0, 1, NOW);
        assert!(network.books[1].versions(&gone).is_some());
        assert!(network.messages <= 8, "{}", network.messages);
        // From nothing to everything.
        network.books[0] = Book::default();
        network.reconcile(0, 1, NOW);
        assert_eq!(network.books[0], network.books[1]);
    }

    #[test]
    fn nonsense_is_refused_without_harm() {
        let set = RecordSet::of(&Book::default()).unwrap();
        for frame in [
            vec![],
            vec![0x61],
            vec![0x61, 0xFF, 0xFF],
            vec![0x50, 1, 2],
            vec![0x61, 0, 0, 2, 0xC0, 0x80, 0x80, 0x80, 0],
        ] {
            let _ = answer(&set, Request::Compare(frame), |_| Vec::new());
        }
        let many = vec![Hash::zero(); BATCH + 1];
        assert_eq!(answer(&set, Request::Fetch(many), |_| Vec::new()), Err(ReconcileError::TooMany(BATCH)));
        let (mut comparison, _) = Comparison::start(Arc::new(set)).unwrap();
        assert_eq!(comparison.on_answer(Answer::Taken, |_| Vec::new()), Err(ReconcileError::OutOfTurn));
    }

    proptest! {
        #[test]
        fn no_frame_makes_it_panic(frame: Vec<u8>) {
            let writers = wallets(3);
            let mut book = Book::default();
            for writer in &writers {
                book.merge(resign(writer, draft(writer, Role::Media, NOW)), Standing::Member(Role::Media), &GENESIS, NOW);
            }
            let set = Arc::new(RecordSet::of(&book).unwrap());
            let mut framed = vec![0x61];
            framed.extend(&frame);
            let _ = answer(&set, Request::Compare(framed.clone()), |_| Vec::new());
            let (mut comparison, _) = Comparison::start(set).unwrap();
            let _ = comparison.on_answer(Answer::Compare(framed), |_| Vec::new());
        }
    }
}
