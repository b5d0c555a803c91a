//! The disk: RocksDB with one column family per kind of thing.

mod evidence;

pub use evidence::{EvidencePlace, MalformedPlace};

use super::{
    merge::{Version, Versions},
    place::PlaceKey,
    snapshot::{self, Snapshot},
};
use crate::qos::{attestation::Attestation, probe::Probe, receipt::StoredReceipt, session::Session};
use chroom_primitives::{
    Hash, NodeId, QosEpoch, Signed, UnixMs,
    record::{NodeQosReport, NodeRecord},
};
use codec::{Decode, Encode};
use rocksdb::{
    BoundColumnFamily, ColumnFamilyDescriptor, DBWithThreadMode, Direction, IteratorMode, MultiThreaded, Options,
    ReadOptions, WriteBatch, WriteOptions,
};
use std::{
    collections::BTreeSet,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
};

type Db = DBWithThreadMode<MultiThreaded>;

const RECORDS: &str = "records";
const PLACES: &str = "h3";
const EVIDENCE: &str = "evidence";
const RECEIPTS: &str = "receipts";
const SESSIONS: &str = "sessions";
const REPORTS: &str = "reports";
const PROBES: &str = "probes";
const LIVENESS: &str = "liveness";
const SNAPSHOTS: &str = "snapshots";
const ATTESTATIONS: &str = "leaves";
const PEERS: &str = "peers";
const META: &str = "meta";
const FAMILIES: [&str; 12] =
    [RECORDS, PLACES, EVIDENCE, RECEIPTS, SESSIONS, REPORTS, PROBES, LIVENESS, SNAPSHOTS, ATTESTATIONS, PEERS, META];

const GENESIS_KEY: &[u8] = b"genesis";
const FORMAT_KEY: &[u8] = b"format";
const FORMAT: u32 = 1;

/// Attestations kept, in epochs: longer than the chain takes claims for.
pub const KEEP_ATTESTATIONS: u32 = 4_096;
/// Deletions that are written at once: a few hundred kilobytes, however much there is to drop.
const SWEEP_BATCH: usize = 4_096;

/// When a write is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// On disk: the write-ahead log is synced. For everything that is acknowledged.
    Synced,
    /// With the operating system: survives the process, not the machine. For what the network repairs.
    Buffered,
}

/// The disk failed, or holds what this version does not understand.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no database.
    #[error("there is no database in {0}; --data names the folder that the node runs with")]
    Absent(PathBuf),
    /// RocksDB says no.
    #[error("the database failed: {0}; check the disk's space and health, and that no other process uses the folder")]
    Database(String),
    /// A value cannot be decoded.
    #[error(
        "the database's {family} hold a value that cannot be decoded; restore the data folder or remove it to sync anew"
    )]
    Corrupt {
        /// The column family.
        family: &'static str,
    },
    /// The folder belongs to another network.
    #[error("the data folder belongs to the network {found:?}, not to {expected:?}; give --data another folder")]
    OtherNetwork {
        /// Genesis hash in the folder.
        found: Hash,
        /// Genesis hash of the chain.
        expected: Hash,
    },
    /// Made by a version with another layout.
    #[error("the data folder has format {found}, this version has {FORMAT}")]
    OtherFormat {
        /// Format in the folder.
        found: u32,
    },
}

impl From<rocksdb::Error> for StoreError {
    fn from(error: rocksdb::Error) -> Self {
        // As text: the reason is in the message already, so it must not come again as its source.
        StoreError::Database(error.to_string())
    }
}

/// The database.
pub struct Store {
    db: Db,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.db.path()).finish()
    }
}

fn decode<T: Decode>(family: &'static str, bytes: &[u8]) -> Result<T, StoreError> {
    T::decode(&mut &*bytes).map_err(|_| StoreError::Corrupt { family })
}

fn place_key(place: PlaceKey, node: &NodeId) -> [u8; 28] {
    let mut key = [0u8; 28];
    key.split_at_mut(8).0.copy_from_slice(&place.0.to_be_bytes());
    key.split_at_mut(8).1.copy_from_slice(&node.0);
    key
}

fn node_time_key(node: &NodeId, at: UnixMs) -> [u8; 28] {
    let mut key = [0u8; 28];
    key.split_at_mut(20).0.copy_from_slice(&node.0);
    key.split_at_mut(20).1.copy_from_slice(&at.to_be_bytes());
    key
}

/// Key of a receipt: all receipts about a node in the order of their ends, so that an epoch is a range.
fn receipt_key(node: &NodeId, to_ms: UnixMs, session: &[u8; 16], seq: u64) -> Vec<u8> {
    let mut key = node_time_key(node, to_ms).to_vec();
    key.extend_from_slice(session);
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

fn session_key(session: &[u8; 16], node: &NodeId) -> [u8; 36] {
    let mut key = [0u8; 36];
    key.split_at_mut(16).0.copy_from_slice(session);
    key.split_at_mut(16).1.copy_from_slice(&node.0);
    key
}

/// Slots as runs of neighbours: a node that is always there takes a few bytes.
fn runs(slots: &BTreeSet<u64>) -> Vec<(u64, u32)> {
    let mut runs: Vec<(u64, u32)> = Vec::new();
    for slot in slots {
        match runs.last_mut() {
            Some((first, count)) if first.checked_add(u64::from(*count)) == Some(*slot) => *count += 1,
            _ => runs.push((*slot, 1)),
        }
    }
    runs
}

fn be_u64(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

impl Store {
    /// Opens the database of a network, making it if it is not there.
    pub fn open(path: &Path, genesis: &Hash) -> Result<Self, StoreError> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_keep_log_file_num(4);
        options.set_max_background_jobs(2);
        options.set_max_total_wal_size(64 << 20);
        options.set_max_open_files(256);
        let store = Self { db: Db::open_cf_descriptors(&options, path, Self::families())? };
        let meta = store.family(META)?;
        match store.db.get_cf(&meta, FORMAT_KEY)? {
            Some(bytes) => {
                let found: u32 = decode(META, &bytes)?;
                if found != FORMAT {
                    return Err(StoreError::OtherFormat { found });
                }
            }
            None => store.db.put_cf(&meta, FORMAT_KEY, FORMAT.encode())?,
        }
        match store.genesis()? {
            Some(found) if found != *genesis => return Err(StoreError::OtherNetwork { found, expected: *genesis }),
            Some(_) => {}
            None => store.db.put_cf(&meta, GENESIS_KEY, genesis.encode())?,
        }
        drop(meta);
        Ok(store)
    }

    /// Opens an existing database for reading, also while the node runs.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        // RocksDB would make the folder.
        if !path.join("CURRENT").is_file() {
            return Err(StoreError::Absent(path.to_path_buf()));
        }
        let options = Options::default();
        Ok(Self { db: Db::open_cf_descriptors_read_only(&options, path, Self::families(), false)? })
    }

    fn families() -> impl Iterator<Item = ColumnFamilyDescriptor> {
        FAMILIES.into_iter().map(|name| {
            let mut options = Options::default();
            options.set_write_buffer_size(8 << 20);
            options.set_compression_type(rocksdb::DBCompressionType::Snappy);
            ColumnFamilyDescriptor::new(name, options)
        })
    }

    fn family(&self, name: &'static str) -> Result<Arc<BoundColumnFamily<'_>>, StoreError> {
        self.db.cf_handle(name).ok_or(StoreError::Corrupt { family: name })
    }

    fn write(&self, batch: WriteBatch, durability: Durability) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        options.set_sync(durability == Durability::Synced);
        Ok(self.db.write_opt(batch, &options)?)
    }

    /// All values of a family from `from` on for as long as `take` holds of the key.
    fn scan(
        &self,
        name: &'static str,
        from: &[u8],
        mut each: impl FnMut(&[u8], &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let family = self.family(name)?;
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        for item in self.db.iterator_cf_opt(&family, options, IteratorMode::From(from, Direction::Forward)) {
            let (key, value) = item?;
            if !each(&key, &value)? {
                break;
            }
        }
        Ok(())
    }

    /// Genesis hash of the network that the database is of.
    pub fn genesis(&self) -> Result<Option<Hash>, StoreError> {
        let meta = self.family(META)?;
        self.db.get_cf(&meta, GENESIS_KEY)?.map(|bytes| decode(META, &bytes)).transpose()
    }

    // Records.

    /// Replaces a node's versions and its place in the index.
    pub fn put_versions(
        &self,
        node: &NodeId,
        before: Option<&Versions>,
        after: &Versions,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let (records, places) = (self.family(RECORDS)?, self.family(PLACES)?);
        let mut batch = WriteBatch::default();
        if let Some(old) = before.and_then(Versions::current) {
            batch.delete_cf(&places, place_key(old.signed.payload.cell.into(), node));
        }
        if let Some(new) = after.current() {
            batch.put_cf(&places, place_key(new.signed.payload.cell.into(), node), []);
        }
        let encoded: Vec<&Signed<NodeRecord>> = after.iter().map(|v: &Version| &v.signed).collect();
        batch.put_cf(&records, node.0, encoded.encode());
        self.write(batch, durability)
    }

    /// Forgets a node.
    pub fn remove_versions(&self, node: &NodeId, before: &Versions) -> Result<(), StoreError> {
        let (records, places) = (self.family(RECORDS)?, self.family(PLACES)?);
        let mut batch = WriteBatch::default();
        if let Some(old) = before.current() {
            batch.delete_cf(&places, place_key(old.signed.payload.cell.into(), node));
        }
        batch.delete_cf(&records, node.0);
        self.write(batch, Durability::Buffered)
    }

    /// All nodes' versions.
    pub fn all_versions(&self) -> Result<Vec<(NodeId, Versions)>, StoreError> {
        let mut all = Vec::new();
        self.scan(RECORDS, &[], |key, value| {
            let node = NodeId(key.try_into().map_err(|_| StoreError::Corrupt { family: RECORDS })?);
            if let Some(versions) = Versions::restore(decode(RECORDS, value)?) {
                all.push((node, versions));
            }
            Ok(true)
        })?;
        Ok(all)
    }

    /// Nodes whose current record places them in `range`, in the order of the index, at most `limit`.
    pub fn nodes_in(&self, range: &RangeInclusive<PlaceKey>, limit: usize) -> Result<Vec<NodeId>, StoreError> {
        let mut nodes = Vec::new();
        let end = range.end().0;
        self.scan(PLACES, &range.start().0.to_be_bytes(), |key, _| {
            let (place, node) = key.split_at_checked(8).ok_or(StoreError::Corrupt { family: PLACES })?;
            if be_u64(place).is_none_or(|p| p > end) || nodes.len() >= limit {
                return Ok(false);
            }
            nodes.push(NodeId(node.try_into().map_err(|_| StoreError::Corrupt { family: PLACES })?));
            Ok(true)
        })?;
        Ok(nodes)
    }

    // Receipts and sessions.

    /// A session on a node that receipts came for. A session that moves to another node is another one here.
    pub fn session(&self, id: &[u8; 16], node: &NodeId) -> Result<Option<Session>, StoreError> {
        let family = self.family(SESSIONS)?;
        self.db.get_cf(&family, session_key(id, node))?.map(|bytes| decode(SESSIONS, &bytes)).transpose()
    }

    /// Puts receipts on disk together with the session's new state; they are safe when this returns.
    pub fn put_receipts(&self, session: &Session, receipts: &[StoredReceipt]) -> Result<(), StoreError> {
        let (family, sessions) = (self.family(RECEIPTS)?, self.family(SESSIONS)?);
        let mut batch = WriteBatch::default();
        let grant = &session.grant.payload;
        for receipt in receipts {
            batch.put_cf(
                &family,
                receipt_key(&grant.node, receipt.to_ms, &grant.session, receipt.seq),
                receipt.encode(),
            );
        }
        batch.put_cf(&sessions, session_key(&grant.session, &grant.node), session.encode());
        self.write(batch, Durability::Synced)
    }

    /// The receipt of a session with this sequence number that ended at `to_ms`.
    pub fn receipt(
        &self,
        node: &NodeId,
        to_ms: UnixMs,
        session: &[u8; 16],
        seq: u64,
    ) -> Result<Option<StoredReceipt>, StoreError> {
        let family = self.family(RECEIPTS)?;
        let bytes = self.db.get_cf(&family, receipt_key(node, to_ms, session, seq))?;
        bytes.map(|bytes| decode(RECEIPTS, &bytes)).transpose()
    }

    /// Receipts about a node whose intervals ended in `from..to`, with their sessions.
    pub fn receipts(
        &self,
        node: &NodeId,
        from: UnixMs,
        to: UnixMs,
    ) -> Result<Vec<([u8; 16], StoredReceipt)>, StoreError> {
        let mut all = Vec::new();
        self.scan(RECEIPTS, &node_time_key(node, from), |key, value| {
            let corrupt = || StoreError::Corrupt { family: RECEIPTS };
            let (who, rest) = key.split_at_checked(20).ok_or_else(corrupt)?;
            let (at, rest) = rest.split_at_checked(8).ok_or_else(corrupt)?;
            if who != node.0 || be_u64(at).is_none_or(|at| at >= to) {
                return Ok(false);
            }
            let session = rest.first_chunk::<16>().ok_or_else(corrupt)?;
            all.push((*session, decode(RECEIPTS, value)?));
            Ok(true)
        })?;
        Ok(all)
    }

    // Node reports.

    /// Puts node reports on disk.
    pub fn put_reports(&self, reports: &[Signed<NodeQosReport>]) -> Result<(), StoreError> {
        let family = self.family(REPORTS)?;
        let mut batch = WriteBatch::default();
        for signed in reports {
            let report = &signed.payload;
            batch.put_cf(
                &family,
                receipt_key(&report.node, report.to_ms, &report.session, report.seq),
                signed.encode(),
            );
        }
        self.write(batch, Durability::Synced)
    }

    /// A node's own reports whose intervals ended in `from..to`.
    pub fn reports(&self, node: &NodeId, from: UnixMs, to: UnixMs) -> Result<Vec<NodeQosReport>, StoreError> {
        let mut all = Vec::new();
        self.scan(REPORTS, &node_time_key(node, from), |key, value| {
            if !key.starts_with(&node.0) || key.get(20..28).and_then(be_u64).is_none_or(|at| at >= to) {
                return Ok(false);
            }
            all.push(decode::<Signed<NodeQosReport>>(REPORTS, value)?.payload);
            Ok(true)
        })?;
        Ok(all)
    }

    // Probes and liveness.

    /// Notes a probe's result.
    pub fn put_probe(&self, node: &NodeId, probe: &Probe) -> Result<(), StoreError> {
        let family = self.family(PROBES)?;
        Ok(self.db.put_cf(&family, node_time_key(node, probe.at_ms), probe.encode())?)
    }

    /// Probes of a node in `from..to`.
    pub fn probes(&self, node: &NodeId, from: UnixMs, to: UnixMs) -> Result<Vec<Probe>, StoreError> {
        let mut all = Vec::new();
        self.scan(PROBES, &node_time_key(node, from), |key, value| {
            if !key.starts_with(&node.0) || key.get(20..28).and_then(be_u64).is_none_or(|at| at >= to) {
                return Ok(false);
            }
            all.push(decode(PROBES, value)?);
            Ok(true)
        })?;
        Ok(all)
    }

    /// Keeps the slots in which a node was alive.
    pub fn put_liveness(&self, node: &NodeId, slots: &BTreeSet<u64>) -> Result<(), StoreError> {
        let family = self.family(LIVENESS)?;
        Ok(self.db.put_cf(&family, node.0, runs(slots).encode())?)
    }

    /// Slots in which nodes were alive.
    pub fn all_liveness(&self) -> Result<Vec<(NodeId, BTreeSet<u64>)>, StoreError> {
        let mut all = Vec::new();
        self.scan(LIVENESS, &[], |key, value| {
            let node = NodeId(key.try_into().map_err(|_| StoreError::Corrupt { family: LIVENESS })?);
            let runs: Vec<(u64, u32)> = decode(LIVENESS, value)?;
            all.push((
                node,
                runs.into_iter().flat_map(|(first, count)| first..first.saturating_add(count.into())).collect(),
            ));
            Ok(true)
        })?;
        Ok(all)
    }

    // Epochs.

    /// Keeps what this attestor says of an epoch, with the snapshot that belongs to it, before it is sent. Of what is older than the rings it
    /// drops all.
    pub fn put_epoch(&self, attestation: &Attestation, snapshot: &Snapshot) -> Result<(), StoreError> {
        let (attestations, snapshots) = (self.family(ATTESTATIONS)?, self.family(SNAPSHOTS)?);
        let epoch = attestation.epoch.0;
        let mut batch = WriteBatch::default();
        batch.put_cf(&attestations, epoch.to_be_bytes(), attestation.encode());
        batch.put_cf(&snapshots, epoch.to_be_bytes(), snapshot.encode());
        let zero = 0u32.to_be_bytes();
        if let Some(until) = epoch.checked_sub(snapshot::KEEP - 1) {
            batch.delete_range_cf(&snapshots, zero, until.to_be_bytes());
        }
        if let Some(until) = epoch.checked_sub(KEEP_ATTESTATIONS - 1) {
            batch.delete_range_cf(&attestations, zero, until.to_be_bytes());
        }
        self.write(batch, Durability::Synced)
    }

    /// Notes that the chain has the roots of an epoch.
    pub fn mark_submitted(&self, epoch: QosEpoch) -> Result<(), StoreError> {
        let Some(mut attestation) = self.attestation(epoch)? else { return Ok(()) };
        attestation.submitted = true;
        let family = self.family(ATTESTATIONS)?;
        Ok(self.db.put_cf(&family, epoch.0.to_be_bytes(), attestation.encode())?)
    }

    /// What this attestor says of an epoch.
    pub fn attestation(&self, epoch: QosEpoch) -> Result<Option<Attestation>, StoreError> {
        let family = self.family(ATTESTATIONS)?;
        self.db.get_cf(&family, epoch.0.to_be_bytes())?.map(|bytes| decode(ATTESTATIONS, &bytes)).transpose()
    }

    /// The newest attestation.
    pub fn last_attestation(&self) -> Result<Option<Attestation>, StoreError> {
        let family = self.family(ATTESTATIONS)?;
        let last = self.db.iterator_cf(&family, IteratorMode::End).next().transpose()?;
        last.map(|(_, value)| decode(ATTESTATIONS, &value)).transpose()
    }

    /// The snapshot of an epoch.
    pub fn snapshot(&self, epoch: QosEpoch) -> Result<Option<Snapshot>, StoreError> {
        let family = self.family(SNAPSHOTS)?;
        self.db.get_cf(&family, epoch.0.to_be_bytes())?.map(|bytes| decode(SNAPSHOTS, &bytes)).transpose()
    }

    /// Epochs whose snapshots are kept, oldest first.
    pub fn snapshot_epochs(&self) -> Result<Vec<QosEpoch>, StoreError> {
        let mut all = Vec::new();
        self.scan(SNAPSHOTS, &[], |key, _| {
            let bytes = key.try_into().map_err(|_| StoreError::Corrupt { family: SNAPSHOTS })?;
            all.push(QosEpoch(u32::from_be_bytes(bytes)));
            Ok(true)
        })?;
        Ok(all)
    }

    /// Drops receipts, reports and probes that ended before `until`, and sessions that expired before it.
    pub fn forget_before(&self, until: UnixMs) -> Result<(), StoreError> {
        for name in [RECEIPTS, REPORTS, PROBES] {
            self.sweep(name, |key, _| Ok(key.get(20..28).and_then(be_u64).is_some_and(|at| at < until)))?;
        }
        self.sweep(SESSIONS, |_, value| Ok(decode::<Session>(SESSIONS, value)?.grant.payload.expires_ms < until))
    }

    /// Deletes all of a family that is over, batch by batch: what one write holds is bounded, what the sweep deletes is not.
    fn sweep(
        &self,
        name: &'static str,
        is_over: impl Fn(&[u8], &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let family = self.family(name)?;
        let mut from: Vec<u8> = Vec::new();
        loop {
            let mut batch = WriteBatch::default();
            let mut next = None;
            self.scan(name, &from, |key, value| {
                if batch.len() >= SWEEP_BATCH {
                    next = Some(key.to_vec());
                    return Ok(false);
                }
                if is_over(key, value)? {
                    batch.delete_cf(&family, key);
                }
                Ok(true)
            })?;
            self.write(batch, Durability::Buffered)?;
            // It goes on where it stopped, so that it doesn't step over what it deleted once more.
            match next {
                Some(key) => from = key,
                None => return Ok(()),
            }
        }
    }

    // Peers.

    /// Notes where a peer was reached.
    pub fn put_peer(&self, peer: &[u8], address: &str) -> Result<(), StoreError> {
        let family = self.family(PEERS)?;
        Ok(self.db.put_cf(&family, peer, address)?)
    }

    /// Forgets a peer.
    pub fn remove_peer(&self, peer: &[u8]) -> Result<(), StoreError> {
        let family = self.family(PEERS)?;
        Ok(self.db.delete_cf(&family, peer)?)
    }

    /// Peers that were reached before, with their addresses.
    pub fn peers(&self) -> Result<Vec<(Vec<u8>, String)>, StoreError> {
        let mut all = Vec::new();
        self.scan(PEERS, &[], |key, value| {
            all.push((key.to_vec(), String::from_utf8_lossy(value).into_owned()));
            Ok(all.len() < 1_024)
        })?;
        Ok(all)
    }
}

#[cfg(test)]
mod tests;
