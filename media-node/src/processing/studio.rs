//! All jobs of this node: what there is to do, where it runs, and what it may cost.

mod bridges;
mod error;
mod recordings;

pub use error::StudioError;
pub use recordings::{Ended, RecordingId, RecordingKind};

use super::{
    budget::{Budget, Millicores, Reservation},
    cost,
    job::{Ending, Job},
    mix::MixJob,
    recording::room::RecordingLimits,
    thumbnail::ThumbnailJob,
    worker::{self, Assignment, WorkerBusy, WorkerCounts, WorkerHandle},
};
use crate::sfu::{
    Sfu,
    codec::Codec,
    id::{ParticipantId, RoomId, TrackId},
    resident::{Entry, Interest, Lacking, ResidentId, ResidentState},
};
use parking_lot::Mutex;
use recordings::Recording;
use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};
use tokio::sync::oneshot;

/// How processing is set up.
#[derive(Clone, Debug)]
pub struct StudioConfig {
    /// Threads; 0: nothing is processed.
    pub threads: usize,
    /// What all jobs may take together.
    pub budget: Millicores,
    /// Where recordings go; `None`: nothing is recorded.
    pub recordings: Option<PathBuf>,
    /// What one recording may take.
    pub limits: RecordingLimits,
}

/// Sums over all workers since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StudioFigures {
    /// Jobs that run.
    pub jobs: u64,
    /// What is reserved, in thousandths of a core.
    pub reserved: u32,
    /// The whole budget, likewise.
    pub budget: u32,
    /// Packets that came faster than they could be processed.
    pub dropped: u64,
    /// What jobs made and shards had no room for.
    pub lost: u64,
    /// Turns that were left out.
    pub late: u64,
    /// Jobs that failed.
    pub faults: u64,
    /// Jobs that were refused for the budget.
    pub refused: u64,
}

/// The studio.
pub struct Studio {
    sfu: Arc<Sfu>,
    config: StudioConfig,
    budget: Budget,
    workers: Vec<WorkerHandle>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    numbers: AtomicU64,
    recordings: Mutex<HashMap<RecordingId, Recording>>,
    mixes: tokio::sync::Mutex<HashMap<RoomId, Arc<ResidentState>>>,
    bridges: Mutex<HashMap<Lacking, Arc<ResidentState>>>,
}

impl Studio {
    /// Starts the threads.
    pub fn start(sfu: Arc<Sfu>, config: StudioConfig) -> io::Result<Self> {
        let (mut workers, mut threads) = (Vec::new(), Vec::new());
        for index in 0..config.threads {
            let (worker, thread) = worker::start(index)?;
            workers.push(worker);
            threads.push(thread);
        }
        Ok(Self {
            sfu,
            budget: Budget::new(config.budget),
            config,
            workers,
            threads: Mutex::new(threads),
            numbers: AtomicU64::new(1),
            recordings: Mutex::default(),
            mixes: tokio::sync::Mutex::default(),
            bridges: Mutex::default(),
        })
    }

    /// The worker with the least to do, and a part of its time.
    fn reserve(&self, cost: Millicores) -> Result<Place, StudioError> {
        let reserved = |worker: &&WorkerHandle| worker.counts.reserved.load(Ordering::Relaxed);
        let worker = self.workers.iter().min_by_key(reserved).ok_or(StudioError::Off)?.clone();
        let reservation = self.budget.reserve(&worker.counts.reserved, cost)?;
        Ok(Place { worker, reservation })
    }

    /// Begins a job and lets its resident into the room.
    async fn begin(
        &self,
        room: &RoomId,
        new: NewJob,
        make: impl FnOnce(Instant, &Reservation) -> io::Result<Box<dyn Job>> + Send + 'static,
    ) -> Result<(WorkerHandle, ResidentId, Arc<ResidentState>), StudioError> {
        let NewJob { name, interest, codecs, place: Place { worker, reservation } } = new;
        let id = ResidentId(self.numbers.fetch_add(1, Ordering::Relaxed));
        let state = Arc::new(ResidentState::default());
        let name: ParticipantId = name.parse().map_err(|_| StudioError::Off)?;
        // The job is there before the first delivery comes.
        worker.begin(Assignment {
            id,
            state: state.clone(),
            residence: self.sfu.residence(room)?,
            reservation,
            make: Box::new(make),
        })?;
        let entry = Entry { id, name, interest, codecs, mailbox: Box::new(worker.clone()), state: state.clone() };
        let entered = async { Ok::<_, StudioError>(self.sfu.enter(room, entry)?.done().await??) }.await;
        if let Err(error) = entered {
            worker.end(id, Ending::RoomOver)?;
            return Err(error);
        }
        Ok((worker, id, state))
    }

    /// Lets a room be mixed, if it isn't yet. The mix ends by itself when nobody has received it for a while.
    pub async fn mix(&self, room: &RoomId) -> Result<(), StudioError> {
        // Held until the mix is there: a room has one.
        let mut mixes = self.mixes.lock().await;
        mixes.retain(|_, state| !state.over.load(Ordering::Relaxed));
        if mixes.contains_key(room) {
            return Ok(());
        }
        let place = self.reserve(cost::mix(0))?;
        let new = NewJob {
            name: "~mixer",
            interest: Interest::Everything { max_height: None },
            codecs: &[Codec::Opus],
            place,
        };
        let (_, _, state) =
            self.begin(room, new, |now, reservation| Ok(Box::new(MixJob::new(now, reservation)?))).await?;
        mixes.insert(room.clone(), state);
        Ok(())
    }

    /// A picture of a video track, as a JPEG file.
    pub async fn thumbnail(&self, room: &RoomId, track: TrackId, height: u32) -> Result<Vec<u8>, StudioError> {
        let place = self.reserve(cost::THUMBNAIL)?;
        let new = NewJob {
            name: "~photographer",
            interest: Interest::One(track, height),
            codecs: &[Codec::Vp8, Codec::H264],
            place,
        };
        let (sender, picture) = oneshot::channel();
        let report = Box::new(move |file| drop(sender.send(file)));
        self.begin(room, new, move |now, _| Ok(Box::new(ThumbnailJob::new(now, height, report)))).await?;
        picture.await.map_err(|_| StudioError::NoPicture)
    }

    /// What it does.
    pub fn figures(&self) -> StudioFigures {
        let sum = |count: fn(&WorkerCounts) -> &AtomicU64| {
            self.workers.iter().map(|worker| count(&worker.counts).load(Ordering::Relaxed)).sum()
        };
        StudioFigures {
            jobs: sum(|counts| &counts.jobs),
            reserved: self.budget.used().0,
            budget: self.budget.total().0,
            dropped: sum(|counts| &counts.dropped),
            lost: sum(|counts| &counts.lost),
            late: sum(|counts| &counts.late),
            faults: sum(|counts| &counts.faults),
            refused: self.budget.refused(),
        }
    }

    /// Ends all jobs, and waits until their files are whole.
    pub async fn stop(&self) {
        let (workers, threads) = (self.workers.clone(), std::mem::take(&mut *self.threads.lock()));
        let stopping = tokio::task::spawn_blocking(move || {
            workers.iter().for_each(WorkerHandle::stop);
            threads.into_iter().for_each(|thread| drop(thread.join()));
        });
        let _ = stopping.await;
    }
}

/// What a new job's resident is.
struct NewJob {
    name: &'static str,
    interest: Interest,
    codecs: &'static [Codec],
    place: Place,
}

/// Where a job is to run.
struct Place {
    worker: WorkerHandle,
    reservation: Reservation,
}
