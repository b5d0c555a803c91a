//! The merge core: a single-writer last-writer-wins map, as a state machine without I/O.
//!
//! Invariants, whatever the order, repetition or loss of messages (time and membership being equal):
//!
//! 1. Two books that saw the same set of records are equal: of each node the version with the greatest `(seq, hash)` wins.
//! 2. A node that left or whose newest record expired is not live again unless it signs something newer: its newest record is
//!    kept, though not live, until every older one is void too ([`void_ms`]). So there is one tombstone per node at most, for
//!    a day at most.
//! 3. Two records of one node with one `seq` and different contents are reported as evidence, never silently resolved.

use chroom_primitives::{
    Hash, NodeId, Role, Signed, UnixMs, evidence::RecordEquivocation, record::NodeRecord, record::seq_time,
};
use codec::Encode;
use std::collections::BTreeMap;

/// How far the time in a sequence number may be ahead of this clock, in milliseconds.
pub const MAX_AHEAD_MS: u64 = 30_000;
/// Versions that are younger than this are all kept, in milliseconds, so that a snapshot can be cut a while after its time.
pub const RECENT_MS: u64 = 120_000;
/// Most versions kept of one node.
pub const MAX_VERSIONS: usize = 8;

/// What the chain says of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Active or draining in this role.
    Member(Role),
    /// Registered, but unbonding or jailed.
    Revoked,
    /// Not registered, as far as this node has followed the chain.
    Unknown,
}

/// What is wrong with a record's form.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Flaw {
    /// Longer than [`NodeRecord::MAX_ENCODED`].
    #[error("the record is longer than {} bytes", NodeRecord::MAX_ENCODED)]
    TooLong,
    /// Expires before it was made, or later than the longest lifetime.
    #[error("expires_ms must lie after the time in seq, by at most {} h", NodeRecord::MAX_LIFETIME_MS / 3_600_000)]
    Lifetime,
    /// Not an H3 cell of resolution 0 to 7.
    #[error("cell is not an H3 cell of resolution 0 to 7")]
    Cell,
    /// Not `host:port`.
    #[error("rpc is not host:port")]
    Endpoint,
    /// Text with control characters, or not UTF-8.
    #[error("public_url and version must be printable UTF-8")]
    Text,
    /// A registry node's record without its libp2p address, or another's with one.
    #[error("p2p must be a libp2p multiaddress for registry nodes and empty for others")]
    P2p,
}

/// What became of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is now the node's current record.
    Accepted,
    /// A farewell, now current: the node has left.
    Left,
    /// The same record is already here.
    Duplicate,
    /// There is a newer one, with this sequence number.
    Older {
        /// Sequence number of the current record.
        stored: u64,
    },
    /// It had expired when it came. If it is newer than what was here it is kept, never live, so that nothing older comes back.
    Expired,
    /// It contradicts another record of the node with the same sequence number.
    Equivocation(Box<RecordEquivocation>),
    /// The signature is not the node's.
    Forged,
    /// It does not have the form of a record.
    Malformed(Flaw),
    /// The time in its sequence number is ahead of this clock by more than [`MAX_AHEAD_MS`].
    TooFarAhead,
    /// The chain does not know the node (yet).
    NotMember,
    /// The chain has the node out of service.
    Revoked,
    /// The node is registered in another role.
    WrongRole {
        /// The registered role.
        registered: Role,
    },
}

impl Verdict {
    /// A short word for metrics and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Accepted => "accepted",
            Verdict::Left => "left",
            Verdict::Duplicate => "duplicate",
            Verdict::Older { .. } => "older",
            Verdict::Expired => "expired",
            Verdict::Equivocation(_) => "equivocation",
            Verdict::Forged => "forged",
            Verdict::Malformed(_) => "malformed",
            Verdict::TooFarAhead => "too_far_ahead",
            Verdict::NotMember => "not_member",
            Verdict::Revoked => "revoked",
            Verdict::WrongRole { .. } => "wrong_role",
        }
    }

    /// Whether only a faulty or malicious sender produces this: an honest peer checks it before forwarding.
    pub fn blames_sender(&self) -> bool {
        matches!(self, Verdict::Forged | Verdict::Malformed(_))
    }
}

/// A verdict, and whether the book changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// What became of the record.
    pub verdict: Verdict,
    /// Whether the versions of its node are others than before.
    pub changed: bool,
}

/// A record with its hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version {
    /// The record as its node signed it.
    pub signed: Signed<NodeRecord>,
    /// [`NodeRecord::hash`].
    pub hash: Hash,
}

impl Version {
    /// Hashes a record.
    pub fn new(signed: Signed<NodeRecord>) -> Self {
        let hash = signed.payload.hash();
        Self { signed, hash }
    }

    fn order(&self) -> (u64, Hash) {
        (self.signed.payload.seq, self.hash)
    }
}

/// Versions of one node's record, newest first, never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Versions(Vec<Version>);

impl Versions {
    /// Puts stored versions back into order; none if there are none.
    pub fn restore(records: Vec<Signed<NodeRecord>>) -> Option<Self> {
        let mut versions: Vec<Version> = records.into_iter().map(Version::new).collect();
        versions.sort_by_key(|v| std::cmp::Reverse(v.order()));
        (!versions.is_empty()).then_some(Self(versions))
    }

    /// The newest version.
    pub fn current(&self) -> Option<&Version> {
        self.0.first()
    }

    /// All versions, newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Version> {
        self.0.iter()
    }

    /// The version that was the newest at `cut`: the one with the greatest `seq` whose time is not after it.
    pub fn at(&self, cut: UnixMs) -> Option<&Version> {
        self.0.iter().find(|v| seq_time(v.signed.payload.seq) <= cut)
    }

    /// Inserts a version and drops those that nothing can ask for any more.
    fn insert(&mut self, version: Version, now: UnixMs) {
        self.0.push(version);
        self.0.sort_by_key(|v| std::cmp::Reverse(v.order()));
        // Of one sequence number the greater hash wins, so that all books keep the same one.
        self.0.dedup_by_key(|v| v.signed.payload.seq);
        let mut settled = false;
        self.0.retain(|v| {
            let recent = seq_time(v.signed.payload.seq).saturating_add(RECENT_MS) > now;
            let keep = recent || !settled;
            settled |= !recent;
            keep
        });
        self.0.truncate(MAX_VERSIONS);
    }

    fn would_keep(&self, version: &Version, now: UnixMs) -> bool {
        let mut copy = self.clone();
        copy.insert(version.clone(), now);
        copy != *self
    }
}

/// Unix time in milliseconds from which neither this record nor any older one of its node can be live: no record lives longer
/// than [`NodeRecord::MAX_LIFETIME_MS`] after the time in its sequence number.
pub fn void_ms(record: &NodeRecord) -> UnixMs {
    seq_time(record.seq).saturating_add(NodeRecord::MAX_LIFETIME_MS)
}

/// Whether a record stands: its node has not left and it has not expired.
pub fn is_live(record: &NodeRecord, now: UnixMs) -> bool {
    !record.left && now <= record.expires_ms
}

/// Checks a record's form, without its signature or standing.
pub fn check_form(record: &NodeRecord) -> Result<(), Flaw> {
    if record.encoded_size() > NodeRecord::MAX_ENCODED {
        return Err(Flaw::TooLong);
    }
    let made = seq_time(record.seq);
    if record.expires_ms <= made || record.expires_ms - made > NodeRecord::MAX_LIFETIME_MS {
        return Err(Flaw::Lifetime);
    }
    if !record.cell.is_plausible() || h3o::CellIndex::try_from(record.cell.0).is_err() {
        return Err(Flaw::Cell);
    }
    if !record.rpc.is_well_formed() {
        return Err(Flaw::Endpoint);
    }
    let printable = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(|t| !t.chars().any(char::is_control));
    if !printable(&record.public_url) || !printable(&record.version) {
        return Err(Flaw::Text);
    }
    let p2p_ok = match record.role {
        Role::Registry => std::str::from_utf8(&record.p2p)
            .is_ok_and(|text| text.parse::<libp2p::Multiaddr>().is_ok_and(|a| !a.is_empty())),
        Role::Media | Role::Orchestrator => record.p2p.is_empty(),
    };
    if !p2p_ok {
        return Err(Flaw::P2p);
    }
    Ok(())
}

/// The records of all nodes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Book {
    entries: BTreeMap<NodeId, Versions>,
}

impl Book {
    /// Merges one record. Checks go from cheap to costly; the signature is only checked of records that would change something.
    pub fn merge(&mut self, signed: Signed<NodeRecord>, standing: Standing, genesis: &Hash, now: UnixMs) -> Outcome {
        let still = |verdict| Outcome { verdict, changed: false };
        let record = &signed.payload;
        let node = record.node;
        if let Err(flaw) = check_form(record) {
            return still(Verdict::Malformed(flaw));
        }
        if seq_time(record.seq) > now.saturating_add(MAX_AHEAD_MS) {
            return still(Verdict::TooFarAhead);
        }
        if now > void_ms(record) {
            return still(Verdict::Expired);
        }
        let version = Version::new(signed);
        let record = &version.signed.payload;
        if let Some(entry) = self.entries.get(&node) {
            if entry.iter().any(|v| v.hash == version.hash) {
                return still(Verdict::Duplicate);
            }
            let contradicts = entry.iter().any(|v| v.signed.payload.seq == record.seq);
            if !contradicts && !entry.would_keep(&version, now) {
                let stored = entry.current().map_or(0, |v| v.signed.payload.seq);
                return still(Verdict::Older { stored });
            }
        }
        if version.signed.signer(genesis) != Some(node) {
            return still(Verdict::Forged);
        }
        match standing {
            Standing::Unknown => return still(Verdict::NotMember),
            Standing::Revoked => return still(Verdict::Revoked),
            Standing::Member(role) if role != record.role => return still(Verdict::WrongRole { registered: role }),
            Standing::Member(_) => {}
        }
        let (seq, left, expired) = (record.seq, record.left, now > record.expires_ms);
        let Some(entry) = self.entries.get_mut(&node) else {
            self.entries.insert(node, Versions(vec![version]));
            let verdict = match (expired, left) {
                (true, _) => Verdict::Expired,
                (false, true) => Verdict::Left,
                (false, false) => Verdict::Accepted,
            };
            return Outcome { verdict, changed: true };
        };
        let rival = entry.iter().find(|v| v.signed.payload.seq == seq).map(|v| v.signed.clone());
        let stored = entry.current().map_or(0, |v| v.signed.payload.seq);
        let before = entry.clone();
        let evidence = rival.map(|first| RecordEquivocation { first, second: version.signed.clone() });
        entry.insert(version, now);
        let changed = *entry != before;
        let verdict = match evidence {
            Some(evidence) => Verdict::Equivocation(Box::new(evidence)),
            None if seq < stored => Verdict::Older { stored },
            None if expired => Verdict::Expired,
            None if left => Verdict::Left,
            None => Verdict::Accepted,
        };
        Outcome { verdict, changed }
    }

    /// Puts back versions that were merged before.
    pub fn restore(&mut self, node: NodeId, versions: Versions) {
        self.entries.insert(node, versions);
    }

    /// Drops a node.
    pub fn remove(&mut self, node: &NodeId) -> Option<Versions> {
        self.entries.remove(node)
    }

    /// Versions of one node.
    pub fn versions(&self, node: &NodeId) -> Option<&Versions> {
        self.entries.get(node)
    }

    /// A node's current record, if it is live.
    pub fn live(&self, node: &NodeId, now: UnixMs) -> Option<&Version> {
        self.entries.get(node)?.current().filter(|v| is_live(&v.signed.payload, now))
    }

    /// All nodes with their versions, ordered by node.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, &Versions)> {
        self.entries.iter()
    }

    /// Number of nodes, those that left included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Nodes whose newest record is void, so that nothing is lost by forgetting them.
    pub fn void(&self, now: UnixMs) -> Vec<NodeId> {
        let past = |v: &Versions| v.current().is_none_or(|c| now > void_ms(&c.signed.payload));
        self.entries.iter().filter(|(_, v)| past(v)).map(|(node, _)| *node).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{GENESIS, draft, resign, wallet};
    use proptest::prelude::*;

    const NOW: UnixMs = 1_800_000_000_000;

    fn merge(book: &mut Book, signed: &Signed<NodeRecord>, now: UnixMs) -> Verdict {
        book.merge(signed.clone(), Standing::Member(signed.payload.role), &GENESIS, now).verdict
    }

    /// A record of one of a few nodes, made up to 200 s before NOW and living up to 300 s, sometimes a farewell.
    fn some_record() -> impl Strategy<Value = Signed<NodeRecord>> {
        (0u8..3, 0u64..8, 1u64..8, prop::bool::weighted(0.2), 0u8..2).prop_map(|(who, age, life, left, flavour)| {
            let wallet = wallet(who);
            let mut record = draft(&wallet, Role::Media, NOW - age * 25_000);
            record.expires_ms = NOW - age * 25_000 + life * 40_000;
            record.left = left;
            record.version = format!("0.{flavour}").into_bytes().try_into().unwrap();
            resign(&wallet, record)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn order_and_repetition_do_not_matter(
            records in prop::collection::vec(some_record(), 1..14),
            order in any::<prop::sample::Index>(),
            seed in any::<u64>(),
        ) {
            let mut forward = Book::default();
            for record in &records {
                merge(&mut forward, record, NOW);
            }
            let mut shuffled = records.clone();
            let mut state = seed | 1;
            for i in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                shuffled.swap(i, (state >> 33) as usize % (i + 1));
            }
            let again = shuffled[order.index(shuffled.len())].clone();
            shuffled.push(again);
            let mut other = Book::default();
            for record in &shuffled {
                merge(&mut other, record, NOW);
            }
            prop_assert_eq!(&forward, &other);
            // Merging one book into another (associativity): half here, half there, then together.
            let (left, right) = records.split_at(records.len() / 2);
            let mut halves = [Book::default(), Book::default()];
            for record in left { merge(&mut halves[0], record, NOW); }
            for record in right { merge(&mut halves[1], record, NOW); }
            let [mut a, b] = halves;
            for (_, versions) in b.iter() {
                for version in versions.iter() { merge(&mut a, &version.signed, NOW); }
            }
            prop_assert_eq!(&forward, &a);
        }

        #[test]
        fn nothing_expired_or_departed_comes_back(
            records in prop::collection::vec(some_record(), 1..14),
            later in 0u64..500_000,
        ) {
            let mut book = Book::default();
            for record in &records {
                merge(&mut book, record, NOW);
            }
            let newest: BTreeMap<NodeId, (u64, Hash)> = book.iter()
                .map(|(node, v)| (*node, v.current().unwrap().order())).collect();
            let now = NOW + later;
            for node in book.void(now) {
                book.remove(&node);
            }
            // Everything is replayed later: a live record is the newest ever seen of its node, unexpired, no farewell.
            for record in &records {
                merge(&mut book, record, now);
            }
            for (node, versions) in book.iter() {
                if let Some(live) = book.live(node, now) {
                    prop_assert_eq!(live.order(), newest[node]);
                    prop_assert!(now <= live.signed.payload.expires_ms && !live.signed.payload.left);
                }
                prop_assert_eq!(versions.current().unwrap().order(), newest[node]);
            }
        }
    }

    #[test]
    fn verdicts_name_what_happened() {
        let node = wallet(1);
        let mut book = Book::default();
        let first = resign(&node, draft(&node, Role::Media, NOW - 5_000));
        assert_eq!(merge(&mut book, &first, NOW), Verdict::Accepted);
        assert_eq!(merge(&mut book, &first, NOW), Verdict::Duplicate);

        let mut forged = draft(&node, Role::Media, NOW);
        forged.expires_ms -= 1;
        let forged = resign(&wallet(2), forged);
        assert_eq!(merge(&mut book, &forged, NOW), Verdict::Forged);

        let ahead = resign(&node, draft(&node, Role::Media, NOW + MAX_AHEAD_MS + 1));
        assert_eq!(merge(&mut book, &ahead, NOW), Verdict::TooFarAhead);

        let mut twin = first.payload.clone();
        twin.version = b"other".to_vec().try_into().unwrap();
        let twin = resign(&node, twin);
        let verdict = merge(&mut book, &twin, NOW);
        let Verdict::Equivocation(evidence) = verdict else { panic!("{verdict:?}") };
        assert_eq!(evidence.offender(&GENESIS), Some(node.node_id()));

        let wrong =
            book.merge(resign(&node, draft(&node, Role::Media, NOW)), Standing::Member(Role::Registry), &GENESIS, NOW);
        assert_eq!(wrong.verdict, Verdict::WrongRole { registered: Role::Registry });
        let unknown = book.merge(resign(&node, draft(&node, Role::Media, NOW)), Standing::Unknown, &GENESIS, NOW);
        assert_eq!(unknown.verdict, Verdict::NotMember);

        let mut farewell = draft(&node, Role::Media, NOW);
        farewell.left = true;
        assert_eq!(merge(&mut book, &resign(&node, farewell), NOW), Verdict::Left);
        assert!(book.live(&node.node_id(), NOW).is_none());
        assert!(matches!(
            merge(&mut book, &twin, NOW + 1),
            Verdict::Older { .. } | Verdict::Equivocation(_) | Verdict::Duplicate
        ));
        assert!(book.live(&node.node_id(), NOW + 1).is_none());
    }

    #[test]
    fn the_version_before_the_cut_is_still_there_after_newer_ones() {
        let node = wallet(1);
        let mut book = Book::default();
        for age in [600_000, 15_000, 9_000, 4_000, 0] {
            merge(&mut book, &resign(&node, draft(&node, Role::Media, NOW - age)), NOW);
        }
        let versions = book.versions(&node.node_id()).unwrap();
        assert_eq!(seq_time(versions.at(NOW - 10_000).unwrap().signed.payload.seq), NOW - 15_000);
        assert_eq!(seq_time(versions.at(NOW - 60_000).unwrap().signed.payload.seq), NOW - 600_000);
    }
}
