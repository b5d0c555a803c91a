//! The register as the rest of the node uses it: merge core, disk, loads and scores under one lock, and a channel of changes.

use super::{
    load::{Liveness, LoadVerdict, Loads},
    merge::{Book, Standing, Verdict, Version, Versions},
    offer::{Minute, Offer, Offers},
    place,
    quarantine::Quarantine,
    record_set::RecordSet,
    snapshot::Snapshot,
    store::{Durability, Store, StoreError},
};
use crate::{clock::now_ms, metrics::Metrics};
use chroom_chain_client::Membership;
use chroom_primitives::{
    H3Cell, Hash, NodeId, NodeStatus, QosEpoch, Role, Score, Signed, UnixMs,
    record::{LoadReport, NodeRecord, seq_time},
};
use h3o::CellIndex;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::sync::{broadcast, watch};

/// How long the versions of a node that the chain revoked are kept aside, for snapshots of a time before that, in milliseconds.
const RETIRED_KEEP_MS: u64 = 120_000;
/// Most changes that a slow watcher may be behind before it gets everything anew.
const CHANGES: usize = 4_096;
/// Most nodes that one query looks at.
const MAX_SCAN: usize = 20_000;

/// Something about a node changed: record, load, status, score.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change(pub NodeId);

/// Why a load report is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadOutcome {
    /// It is the newest.
    Accepted,
    /// It is no newer than what is here.
    Older,
    /// Its time is too far from this clock.
    OutOfTime,
    /// Not a media node that the chain has in service.
    NotMember,
    /// The signature is not the node's.
    Forged,
    /// Figures out of range.
    Malformed,
}

/// All that is known of a live node.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// Its record.
    pub record: Signed<NodeRecord>,
    /// A fresh load report with its age here in milliseconds.
    pub load: Option<(u64, Signed<LoadReport>)>,
    /// Where the chain has it.
    pub status: NodeStatus,
    /// Bond held, in the smallest unit.
    pub bond: u128,
    /// Score of the last epoch for which this registry was in its committee.
    pub score: Option<Score>,
}

#[derive(Default)]
struct State {
    book: Book,
    quarantine: Quarantine,
    loads: Loads,
    liveness: Liveness,
    offers: Offers,
    dirty_liveness: BTreeSet<NodeId>,
    scores: BTreeMap<NodeId, Score>,
    retired: BTreeMap<NodeId, (UnixMs, Versions)>,
    /// Nodes that watchers have been told of as live.
    shown: BTreeSet<NodeId>,
    set: Option<Arc<RecordSet>>,
}

/// The register.
pub struct Register {
    genesis: Hash,
    store: Arc<Store>,
    members: watch::Receiver<Arc<Membership>>,
    state: Mutex<State>,
    changes: broadcast::Sender<Change>,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Register {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Register").field("genesis", &self.genesis).finish_non_exhaustive()
    }
}

impl Register {
    /// Loads the register from disk.
    pub fn open(
        genesis: Hash,
        store: Arc<Store>,
        members: watch::Receiver<Arc<Membership>>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let mut state = State::default();
        for (node, versions) in store.all_versions()? {
            state.book.restore(node, versions);
        }
        for (node, slots) in store.all_liveness()? {
            state.liveness.restore(node, slots);
        }
        if let Some(last) = store.last_attestation()? {
            state.scores.extend(last.scores());
        }
        Ok(Self { genesis, store, members, state: Mutex::new(state), changes: broadcast::channel(CHANGES).0, metrics })
    }

    /// Genesis hash of the network.
    pub fn genesis(&self) -> &Hash {
        &self.genesis
    }

    /// The disk.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The finalised membership.
    pub fn members(&self) -> Arc<Membership> {
        self.members.borrow().clone()
    }

    /// A receiver of the finalised membership.
    pub fn follow_members(&self) -> watch::Receiver<Arc<Membership>> {
        self.members.clone()
    }

    /// Changes from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// What the chain says of a node.
    pub fn standing(&self, node: &NodeId) -> Standing {
        standing_in(&self.members(), node)
    }

    /// Merges a record. With [`Durability::Synced`] it is on disk when this returns.
    pub fn merge(&self, signed: Signed<NodeRecord>, durability: Durability) -> Result<Verdict, StoreError> {
        self.merge_at(signed, durability, now_ms())
    }

    fn merge_at(&self, signed: Signed<NodeRecord>, durability: Durability, now: UnixMs) -> Result<Verdict, StoreError> {
        let node = signed.payload.node;
        let standing = self.standing(&node);
        let mut state = self.state.lock();
        let before = state.book.versions(&node).cloned();
        let outcome = state.book.merge(signed.clone(), standing, &self.genesis, now);
        if outcome.changed {
            let after = state.book.versions(&node).cloned();
            let written = match &after {
                Some(after) => self.store.put_versions(&node, before.as_ref(), after, durability),
                None => Ok(()),
            };
            if let Err(error) = written {
                // What is not on disk is not here either.
                match before {
                    Some(before) => state.book.restore(node, before),
                    None => drop(state.book.remove(&node)),
                }
                return Err(error);
            }
            state.set = None;
            self.tell(&mut state, node, now);
        }
        match &outcome.verdict {
            Verdict::NotMember => state.quarantine.hold(signed, now),
            Verdict::Equivocation(evidence) if self.store.put_evidence(evidence)? => {
                tracing::warn!(%node, seq = evidence.first.payload.seq, "two records of one sequence number: evidence kept");
            }
            _ => {}
        }
        self.metrics.records.get_or_create(&crate::metrics::verdict(outcome.verdict.name())).inc();
        Ok(outcome.verdict)
    }

    fn tell(&self, state: &mut State, node: NodeId, now: UnixMs) {
        if state.book.live(&node, now).is_some() {
            state.shown.insert(node);
        } else {
            state.shown.remove(&node);
        }
        // Nobody watching is no error.
        let _ = self.changes.send(Change(node));
    }

    /// Takes a load report.
    pub fn report_load(&self, report: Signed<LoadReport>) -> LoadOutcome {
        let now = now_ms();
        let body = &report.payload;
        if body.cpu > 10_000 || body.loss > 10_000 || body.rtt_ms > 600_000 {
            return LoadOutcome::Malformed;
        }
        match self.state.lock().loads.judge(body, now) {
            LoadVerdict::Accepted => {}
            LoadVerdict::Older => return LoadOutcome::Older,
            LoadVerdict::OutOfTime => return LoadOutcome::OutOfTime,
        }
        let node = body.node;
        if self.standing(&node) != Standing::Member(Role::Media) {
            return LoadOutcome::NotMember;
        }
        if report.signer(&self.genesis) != Some(node) {
            return LoadOutcome::Forged;
        }
        // A draining node takes no calls, and need not.
        let in_service =
            self.members().get(&node).is_some_and(|registration| registration.status == NodeStatus::Active);
        let mut state = self.state.lock();
        // Another report may have come while the signature was checked.
        if state.loads.judge(body, now) != LoadVerdict::Accepted {
            return LoadOutcome::Older;
        }
        state.liveness.heard(node, seq_time(body.seq));
        if in_service {
            state.offers.heard(body);
        }
        state.dirty_liveness.insert(node);
        state.loads.put(report, now);
        let _ = self.changes.send(Change(node));
        LoadOutcome::Accepted
    }

    /// A live node that the chain has in service.
    pub fn view(&self, node: &NodeId) -> Option<NodeView> {
        let members = self.members();
        view_in(&self.state.lock(), &members, node, now_ms())
    }

    /// All live nodes, ordered by node.
    pub fn views(&self, role: Option<Role>) -> Vec<NodeView> {
        let members = self.members();
        let state = self.state.lock();
        let now = now_ms();
        let wanted = |v: &Versions| v.current().is_some_and(|c| role.is_none_or(|r| c.signed.payload.role == r));
        let nodes = state.book.iter().filter(|(_, versions)| wanted(versions)).map(|(node, _)| node);
        nodes.filter_map(|node| view_in(&state, &members, node, now)).collect()
    }

    /// Live nodes of a role, nearest to `cell` first.
    pub fn near(&self, cell: CellIndex, role: Role, limit: usize) -> Result<Vec<NodeView>, StoreError> {
        let members = self.members();
        let now = now_ms();
        let mut found: BTreeMap<NodeId, (f64, NodeView)> = BTreeMap::new();
        for ring in place::rings(cell) {
            let mut nodes = Vec::new();
            for range in &ring.ranges {
                nodes.extend(self.store.nodes_in(range, MAX_SCAN)?);
            }
            let state = self.state.lock();
            for node in nodes {
                if found.contains_key(&node) {
                    continue;
                }
                let view = view_in(&state, &members, &node, now).filter(|v| v.record.payload.role == role);
                if let Some(view) = view
                    && let Some(there) = place::checked(view.record.payload.cell)
                {
                    found.insert(node, (place::distance_km(cell, there), view));
                }
            }
            drop(state);
            if found.values().filter(|(km, _)| *km <= ring.complete_km).count() >= limit {
                break;
            }
        }
        let mut sorted: Vec<(f64, NodeView)> = found.into_values().collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        sorted.truncate(limit);
        Ok(sorted.into_iter().map(|(_, view)| view).collect())
    }

    /// The newest record of a node, live or not.
    pub fn current(&self, node: &NodeId) -> Option<Signed<NodeRecord>> {
        self.state.lock().book.versions(node).and_then(Versions::current).map(|v: &Version| v.signed.clone())
    }

    /// All kept versions of a node, newest first.
    pub fn versions(&self, node: &NodeId) -> Vec<Signed<NodeRecord>> {
        let state = self.state.lock();
        state.book.versions(node).map(|v| v.iter().map(|v| v.signed.clone()).collect()).unwrap_or_default()
    }

    /// The set to compare with another registry.
    pub fn record_set(&self) -> Result<Arc<RecordSet>, negentropy::Error> {
        let mut state = self.state.lock();
        if let Some(set) = &state.set {
            return Ok(set.clone());
        }
        let set = Arc::new(RecordSet::of(&state.book)?);
        state.set = Some(set.clone());
        Ok(set)
    }

    /// Cuts the snapshot of an epoch that ended at `at_ms`.
    pub fn cut(&self, epoch: QosEpoch, at_ms: UnixMs, members: &BTreeSet<NodeId>) -> Snapshot {
        let state = self.state.lock();
        Snapshot::cut(epoch, at_ms, members, |node| {
            state.book.versions(node).or_else(|| state.retired.get(node).map(|(_, versions)| versions))
        })
    }

    /// Share of `from..to` in which a node reported, parts per 10,000.
    pub fn uptime(&self, node: &NodeId, from: UnixMs, to: UnixMs) -> u16 {
        self.state.lock().liveness.uptime(node, from, to)
    }

    /// What a node offered in each whole minute of `from..to`, by its load reports.
    pub fn offers(&self, node: &NodeId, from: UnixMs, to: UnixMs) -> BTreeMap<Minute, Offer> {
        self.state.lock().offers.between(node, from, to)
    }

    /// Takes in the scores of a closed epoch.
    pub fn put_scores(&self, scores: impl IntoIterator<Item = (NodeId, Score)>) {
        let mut state = self.state.lock();
        for (node, score) in scores {
            state.scores.insert(node, score);
            let _ = self.changes.send(Change(node));
        }
    }

    /// Follows a new membership: drops who was revoked, takes in records that waited, tells of changed status. Returns the records that waited.
    pub fn on_membership(
        &self,
        before: &Membership,
        after: &Membership,
    ) -> Result<Vec<Signed<NodeRecord>>, StoreError> {
        let now = now_ms();
        let mut state = self.state.lock();
        let gone: Vec<NodeId> = state
            .book
            .iter()
            .map(|(node, _)| *node)
            .filter(|node| !matches!(standing_in(after, node), Standing::Member(_)))
            .collect();
        for node in gone {
            if let Some(versions) = state.book.remove(&node) {
                self.store.remove_versions(&node, &versions)?;
                state.retired.insert(node, (now, versions));
                state.set = None;
                tracing::info!(%node, "no longer in service on the chain: record dropped");
                self.tell(&mut state, node, now);
            }
        }
        state.loads.retain(|node| matches!(standing_in(after, node), Standing::Member(_)));
        let back: Vec<NodeId> = state
            .retired
            .keys()
            .copied()
            .filter(|node| matches!(standing_in(after, node), Standing::Member(_)))
            .collect();
        for node in back {
            if let Some((_, versions)) = state.retired.remove(&node)
                && state.book.versions(&node).is_none()
            {
                self.store.put_versions(&node, None, &versions, Durability::Buffered)?;
                state.book.restore(node, versions);
                state.set = None;
                self.tell(&mut state, node, now);
            }
        }
        for (node, registration) in &after.nodes {
            if before.nodes.get(node) != Some(registration) && state.book.versions(node).is_some() {
                let _ = self.changes.send(Change(*node));
            }
        }
        let ready = state.quarantine.release(|node| standing_in(after, node) != Standing::Unknown, now);
        drop(state);
        let mut taken = Vec::new();
        for record in ready {
            if let Verdict::Accepted = self.merge_at(record.clone(), Durability::Buffered, now)? {
                taken.push(record);
            }
        }
        Ok(taken)
    }

    /// Regular work: tells of records that expired, forgets what is void, keeps liveness on disk.
    pub fn sweep(&self) -> Result<(), StoreError> {
        let now = now_ms();
        let mut state = self.state.lock();
        let expired: Vec<NodeId> =
            state.shown.iter().copied().filter(|node| state.book.live(node, now).is_none()).collect();
        for node in expired {
            tracing::info!(%node, "record expired");
            self.tell(&mut state, node, now);
        }
        for node in state.book.void(now) {
            if let Some(versions) = state.book.remove(&node) {
                self.store.remove_versions(&node, &versions)?;
                state.set = None;
            }
        }
        state.retired.retain(|_, (since, _)| since.saturating_add(RETIRED_KEEP_MS) > now);
        let dirty = std::mem::take(&mut state.dirty_liveness);
        let slots: Vec<(NodeId, BTreeSet<u64>)> =
            dirty.into_iter().filter_map(|node| Some((node, state.liveness.slots(&node)?.clone()))).collect();
        self.metrics.live_nodes.set(state.shown.len() as i64);
        self.metrics.quarantined.set(state.quarantine.len() as i64);
        drop(state);
        for (node, slots) in slots {
            self.store.put_liveness(&node, &slots)?;
        }
        Ok(())
    }

    /// Forgets liveness and offers before `until`.
    pub fn forget_before(&self, until: UnixMs) {
        let mut state = self.state.lock();
        state.liveness.forget(until);
        state.offers.forget(until);
    }

    /// Marks what was loaded from disk as shown, so that its expiry is told.
    pub fn start(&self) {
        let now = now_ms();
        let mut state = self.state.lock();
        let live =
            state.book.iter().map(|(node, _)| *node).filter(|node| state.book.live(node, now).is_some()).collect();
        state.shown = live;
    }
}

fn standing_in(members: &Membership, node: &NodeId) -> Standing {
    match members.get(node) {
        Some(registration) if registration.status.is_member() => Standing::Member(registration.role),
        Some(_) => Standing::Revoked,
        None => Standing::Unknown,
    }
}

fn view_in(state: &State, members: &Membership, node: &NodeId, now: UnixMs) -> Option<NodeView> {
    let registration = members.get(node).filter(|r| r.status.is_member())?;
    let version = state.book.live(node, now)?;
    Some(NodeView {
        record: version.signed.clone(),
        load: state.loads.fresh(node, now).map(|(age, report)| (age, report.clone())),
        status: registration.status,
        bond: registration.bond,
        score: state.scores.get(node).copied(),
    })
}

/// The region's name: the base cell in which a place lies.
pub fn region_of(cell: H3Cell) -> String {
    format!("h3-{}", cell.base_cell())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{BERLIN, GENESIS, draft, resign, wallet};
    use chroom_primitives::{AccountId, CapacityClass, epoch::EpochInfo, record::Registration};

    fn membership(nodes: &[(NodeId, NodeStatus)]) -> Arc<Membership> {
        let registration = |node: NodeId, status| Registration {
            node,
            owner: AccountId::new([9; 32]),
            role: Role::Media,
            status,
            cell: BERLIN,
            class: CapacityClass::Small,
            endpoint: "127.0.0.1:7400".parse().unwrap(),
            bond: 1,
            price_per_gib: 0,
        };
        Arc::new(Membership {
            block: 1,
            block_hash: Hash::zero(),
            epoch: EpochInfo {
                current: QosEpoch(0),
                started_at: 1,
                started_ms: 0,
                length: 8,
                submit_window: 4,
                committee_size: 3,
            },
            generation: 0,
            nodes: nodes.iter().map(|(node, status)| (*node, registration(*node, *status))).collect(),
        })
    }

    #[test]
    fn records_wait_for_the_chain_and_go_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path(), &GENESIS).unwrap());
        let node = wallet(1);
        let id = node.node_id();
        let nobody = membership(&[]);
        let (send, receive) = watch::channel(nobody.clone());
        let register = Register::open(GENESIS, store.clone(), receive, Arc::default()).unwrap();
        let made = now_ms() - 20_000;
        let record = resign(&node, draft(&node, Role::Media, made));
        assert_eq!(register.merge(record.clone(), Durability::Synced).unwrap(), Verdict::NotMember);
        assert!(register.view(&id).is_none() && store.all_versions().unwrap().is_empty());

        // The chain has it now: what waited is taken in.
        let active = membership(&[(id, NodeStatus::Active)]);
        send.send_replace(active.clone());
        assert_eq!(register.on_membership(&nobody, &active).unwrap(), std::slice::from_ref(&record));
        assert!(register.view(&id).is_some());

        // Revoked, it is dropped and does not come back, but a snapshot of a time before that still has it.
        let jailed = membership(&[(id, NodeStatus::Jailed)]);
        send.send_replace(jailed.clone());
        let mut changes = register.changes();
        register.on_membership(&active, &jailed).unwrap();
        assert_eq!(changes.try_recv(), Ok(Change(id)));
        assert!(register.view(&id).is_none() && store.all_versions().unwrap().is_empty());
        assert_eq!(register.merge(record.clone(), Durability::Buffered).unwrap(), Verdict::Revoked);
        let cut = register.cut(QosEpoch(0), made + 15_000, &BTreeSet::from([id]));
        assert_eq!(cut.records, std::slice::from_ref(&record));

        // Pardoned, it is back as it was.
        send.send_replace(active.clone());
        register.on_membership(&jailed, &active).unwrap();
        assert_eq!(register.current(&id), Some(record));
        assert_eq!(store.all_versions().unwrap().len(), 1);
    }

    #[test]
    fn a_draining_node_offers_nothing_that_could_be_too_little() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path(), &GENESIS).unwrap());
        let node = wallet(1);
        let id = node.node_id();
        let (send, receive) = watch::channel(membership(&[(id, NodeStatus::Draining)]));
        let register = Register::open(GENESIS, store, receive, Arc::default()).unwrap();
        let now = now_ms();
        let report = |seq| LoadReport {
            node: id,
            seq,
            cpu: 0,
            ingress_kbps: 0,
            egress_kbps: 0,
            egress_limit_kbps: 100_000,
            rooms: 0,
            sessions: 0,
            loss: 0,
            rtt_ms: 0,
            accepting: false,
        };
        let heard = |seq| {
            let outcome = register.report_load(node.sign(report(seq), &GENESIS));
            assert_eq!(outcome, LoadOutcome::Accepted);
            register.offers(&id, now - 120_000, now + 120_000).into_values().map(|one| one.offered_kbps).min()
        };
        assert_eq!(heard(now << 16), None);
        send.send_replace(membership(&[(id, NodeStatus::Active)]));
        assert_eq!(heard((now << 16) + 1), Some(0));
        register.forget_before(now + 240_000);
        assert!(register.offers(&id, now - 120_000, now + 120_000).is_empty());
    }
}
