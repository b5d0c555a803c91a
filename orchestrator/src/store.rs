//! What survives a crash: rooms, sessions, and receipts on their way (RocksDB).
//!
//! Writes that somebody is told of afterwards are synced to disk first.

use crate::session::{Room, RoomId, Session, SessionId};
use rocksdb::{ColumnFamilyDescriptor, DB, IteratorMode, Options, WriteBatch, WriteOptions};
use std::{path::Path, sync::Arc};

const ROOMS: &str = "rooms";
const SESSIONS: &str = "sessions";
const RECEIPTS: &str = "receipts";
const GRANTS: &str = "grants";
const SEQUENCES: &str = "sequences";

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the store in {path}: {source}")]
pub struct OpenError {
    path: String,
    source: rocksdb::Error,
}

/// The store failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refuses.
    #[error("the store failed: {0}")]
    Database(#[from] rocksdb::Error),
    /// A column is missing.
    #[error("the store has no column {0}")]
    Column(&'static str),
    /// An entry cannot be encoded.
    #[error("an entry cannot be encoded: {0}")]
    Encode(String),
    /// The task that wrote was cancelled.
    #[error("the write was cut off")]
    CutOff,
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    db: Arc<DB>,
}

/// Changes that are written together.
#[derive(Default)]
pub struct Changes {
    /// Rooms that changed; none: removed.
    pub rooms: Vec<(RoomId, Option<Box<Room>>)>,
    /// Sessions that changed; none: removed.
    pub sessions: Vec<(SessionId, Option<Box<Session>>)>,
}

impl Changes {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.sessions.is_empty()
    }
}

/// A key and its value, as they are on disk.
pub type Stored = (Vec<u8>, Vec<u8>);

/// A key and its value; no value: removed.
pub type Entry = (Vec<u8>, Option<Vec<u8>>);

/// Changes of the receipts' queue that are written together.
#[derive(Default)]
pub struct ReceiptChanges {
    /// Receipts by their queue key.
    pub receipts: Vec<Entry>,
    /// Signed grants by session and node.
    pub grants: Vec<Entry>,
    /// The last sequence number and end of each session's receipts.
    pub sequences: Vec<Entry>,
}

impl Store {
    /// Opens the store, making it if need be.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_max_open_files(256);
        options.set_keep_log_file_num(4);
        // Entries live for seconds: there is little to compact.
        options.set_write_buffer_size(16 * 1024 * 1024);
        options.set_max_total_wal_size(64 * 1024 * 1024);
        let columns = [ROOMS, SESSIONS, RECEIPTS, GRANTS, SEQUENCES]
            .map(|name| ColumnFamilyDescriptor::new(name, Options::default()));
        let db = DB::open_cf_descriptors(&options, path, columns)
            .map_err(|source| OpenError { path: path.display().to_string(), source })?;
        Ok(Self { db: Arc::new(db) })
    }

    fn put(&self, batch: &mut WriteBatch, column: &'static str, entries: Vec<Entry>) -> Result<(), StoreError> {
        let handle = self.db.cf_handle(column).ok_or(StoreError::Column(column))?;
        for (key, value) in entries {
            match value {
                Some(value) => batch.put_cf(handle, key, value),
                None => batch.delete_cf(handle, key),
            }
        }
        Ok(())
    }

    fn write(&self, batch: WriteBatch, sync: bool) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        Ok(self.db.write_opt(batch, &options)?)
    }

    fn all(&self, column: &'static str) -> Result<Vec<Stored>, StoreError> {
        let handle = self.db.cf_handle(column).ok_or(StoreError::Column(column))?;
        self.db
            .iterator_cf(handle, IteratorMode::Start)
            .map(|entry| entry.map(|(key, value)| (key.into_vec(), value.into_vec())).map_err(StoreError::from))
            .collect()
    }

    /// Writes rooms and sessions and waits until they are on disk.
    pub async fn keep(&self, changes: Changes) -> Result<(), StoreError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || {
            fn encode<T: serde::Serialize>(value: Option<Box<T>>) -> Result<Option<Vec<u8>>, StoreError> {
                value
                    .map(|value| serde_json::to_vec(&*value).map_err(|e| StoreError::Encode(e.to_string())))
                    .transpose()
            }
            let mut batch = WriteBatch::default();
            let rooms = changes
                .rooms
                .into_iter()
                .map(|(id, room)| Ok((id.as_str().as_bytes().to_vec(), encode(room)?)))
                .collect::<Result<_, StoreError>>()?;
            let sessions = changes
                .sessions
                .into_iter()
                .map(|(id, session)| Ok((id.0.to_vec(), encode(session)?)))
                .collect::<Result<_, StoreError>>()?;
            store.put(&mut batch, ROOMS, rooms)?;
            store.put(&mut batch, SESSIONS, sessions)?;
            store.write(batch, true)
        })
        .await
        .map_err(|_| StoreError::CutOff)?
    }

    /// The rooms and sessions of an earlier run. What cannot be read (another version's) is left out.
    pub fn rooms_and_sessions(&self) -> Result<(Vec<Room>, Vec<Session>), StoreError> {
        fn readable<T: serde::de::DeserializeOwned>(entries: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<T> {
            entries
                .into_iter()
                .filter_map(|(key, value)| {
                    serde_json::from_slice(&value)
                        .inspect_err(|error| {
                            tracing::warn!(key = %hex::encode(key), %error, "a stored entry cannot be read");
                        })
                        .ok()
                })
                .collect()
        }
        Ok((readable(self.all(ROOMS)?), readable(self.all(SESSIONS)?)))
    }

    /// Writes to the receipts' queue; with `sync` waits until it is on disk.
    pub async fn keep_receipts(&self, changes: ReceiptChanges, sync: bool) -> Result<(), StoreError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || {
            let mut batch = WriteBatch::default();
            store.put(&mut batch, RECEIPTS, changes.receipts)?;
            store.put(&mut batch, GRANTS, changes.grants)?;
            store.put(&mut batch, SEQUENCES, changes.sequences)?;
            store.write(batch, sync)
        })
        .await
        .map_err(|_| StoreError::CutOff)?
    }

    /// The queue's receipts.
    pub fn receipts(&self) -> Result<Vec<Stored>, StoreError> {
        self.all(RECEIPTS)
    }

    /// The queue's grants.
    pub fn grants(&self) -> Result<Vec<Stored>, StoreError> {
        self.all(GRANTS)
    }

    /// The sessions' last receipts.
    pub fn sequences(&self) -> Result<Vec<Stored>, StoreError> {
        self.all(SEQUENCES)
    }
}
