//! The threads that jobs run on. They have the lowest priority, so that media threads go first wherever both want a core; their queues
//! are bounded, so that what they can't keep up with is lost here and nowhere else.

use super::{
    budget::{Reservation, Thread},
    job::{Desk, Ending, Job, Progress, TICK},
};
use crate::sfu::{
    Residence,
    resident::{Asked, Delivery, Mailbox, ResidentId, ResidentState},
};
use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Deliveries that wait for a worker.
const QUEUE: usize = 8_192;
/// Deliveries that are taken in before ticks get their turn.
const PER_TURN: usize = 512;
/// So late a tick may be; beyond, the ticks in between are left out.
const MAX_LATE: Duration = Duration::from_millis(200);
/// Niceness of the threads (`nice(1)`): the lowest.
const NICE: i32 = 19;

/// A job that is to begin, made on the thread that it will run on: encoders stay where they were made. What it has reserved is kept for it;
/// it may reserve more.
pub type Make = Box<dyn FnOnce(Instant, &Reservation) -> std::io::Result<Box<dyn Job>> + Send>;

/// A job with what it needs.
pub struct Assignment {
    /// Its resident's number.
    pub id: ResidentId,
    /// Its resident's state.
    pub state: Arc<ResidentState>,
    /// Where its resident asks.
    pub residence: Residence,
    /// Its part of the budget.
    pub reservation: Reservation,
    /// The job.
    pub make: Make,
}

enum Order {
    Delivery(Delivery),
    Begin(Box<Assignment>),
    End(ResidentId, Ending),
    Stop,
}

/// A worker's counts.
#[derive(Debug, Default)]
pub struct WorkerCounts {
    /// What jobs asked for and shards had no room for.
    pub lost: AtomicU64,
    /// Ticks that were left out because the worker was late.
    pub late: AtomicU64,
    /// Jobs that failed.
    pub faults: AtomicU64,
    /// Jobs that run.
    pub jobs: AtomicU64,
    /// What its jobs, and those that wait to begin, have reserved.
    pub reserved: Thread,
    /// Packets that the queue had no room for.
    pub dropped: AtomicU64,
}

/// The way to a worker.
#[derive(Clone)]
pub struct WorkerHandle {
    orders: SyncSender<Order>,
    /// Its counts.
    pub counts: Arc<WorkerCounts>,
}

impl Mailbox for WorkerHandle {
    fn deliver(&self, delivery: Delivery) -> bool {
        self.orders.try_send(Order::Delivery(delivery)).is_ok()
    }
}

/// The worker has too much to do, or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("processing has too much waiting on this node; try again")]
pub struct WorkerBusy;

impl WorkerHandle {
    /// Begins a job.
    pub fn begin(&self, assignment: Assignment) -> Result<(), WorkerBusy> {
        self.orders.try_send(Order::Begin(Box::new(assignment))).map_err(|_| WorkerBusy)
    }

    /// Ends a job.
    pub fn end(&self, id: ResidentId, reason: Ending) -> Result<(), WorkerBusy> {
        self.orders.try_send(Order::End(id, reason)).map_err(|_| WorkerBusy)
    }

    /// Ends all jobs, then the thread. Waits for room in the queue: not for threads that must not.
    pub fn stop(&self) {
        let _ = self.orders.send(Order::Stop);
    }
}

/// Starts a worker.
pub fn start(index: usize) -> std::io::Result<(WorkerHandle, JoinHandle<()>)> {
    let (orders, receiver) = sync_channel(QUEUE);
    let counts = Arc::new(WorkerCounts::default());
    let shared = counts.clone();
    let thread = std::thread::Builder::new().name(format!("processing-{index}")).spawn(move || {
        if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
            tracing::warn!(%error, "processing can't be given the lowest priority");
        }
        Worker { orders: receiver, counts: shared, jobs: HashMap::new() }.run();
    })?;
    Ok((WorkerHandle { orders, counts }, thread))
}

struct Running {
    job: Box<dyn Job>,
    state: Arc<ResidentState>,
    residence: Residence,
    dropped: u64,
    /// Held as long as it runs.
    _reservation: Reservation,
}

struct Worker {
    orders: Receiver<Order>,
    counts: Arc<WorkerCounts>,
    jobs: HashMap<ResidentId, Running>,
}

impl Worker {
    fn run(&mut self) {
        let mut next = Instant::now() + TICK;
        let mut desk = Desk::default();
        loop {
            match self.orders.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(order) => {
                    if !self.order(order, &mut desk) {
                        return;
                    }
                    for _ in 0..PER_TURN {
                        let Ok(order) = self.orders.try_recv() else { break };
                        if !self.order(order, &mut desk) {
                            return;
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.end_all();
                    return;
                }
            }
            let now = Instant::now();
            if now >= next {
                let late = now.saturating_duration_since(next);
                self.tick(now, late, &mut desk);
                next += TICK;
                if late > MAX_LATE {
                    self.counts.late.fetch_add(1, Ordering::Relaxed);
                    next = now + TICK;
                }
            }
        }
    }

    /// Whether to go on.
    fn order(&mut self, order: Order, desk: &mut Desk) -> bool {
        match order {
            Order::Delivery(Delivery { to, told }) => {
                self.with(to, desk, |running, desk| {
                    running.job.told(Instant::now(), told, desk);
                    Progress::On
                });
            }
            Order::Begin(assignment) => self.begin(*assignment),
            Order::End(id, reason) => self.end(id, reason),
            Order::Stop => {
                self.end_all();
                return false;
            }
        }
        true
    }

    fn begin(&mut self, assignment: Assignment) {
        let Assignment { id, state, residence, reservation, make } = assignment;
        match catch_unwind(AssertUnwindSafe(|| make(Instant::now(), &reservation))) {
            Ok(Ok(job)) => {
                self.jobs.insert(id, Running { job, state, residence, dropped: 0, _reservation: reservation });
                self.counts.jobs.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Err(error)) => {
                tracing::error!(job = id.0, %error, "a job of processing can't begin");
                residence.ask(id, Asked::Leave);
            }
            Err(_) => {
                self.counts.faults.fetch_add(1, Ordering::Relaxed);
                residence.ask(id, Asked::Leave);
            }
        }
    }

    fn tick(&mut self, now: Instant, late: Duration, desk: &mut Desk) {
        let ids: Vec<ResidentId> = self.jobs.keys().copied().collect();
        for id in ids {
            if self.jobs.get(&id).is_some_and(|running| running.state.over.load(Ordering::Relaxed)) {
                self.end(id, Ending::RoomOver);
                continue;
            }
            let counts = self.counts.clone();
            self.with(id, desk, |running, desk| {
                let dropped = running.state.dropped.load(Ordering::Relaxed);
                counts.dropped.fetch_add(dropped.saturating_sub(running.dropped), Ordering::Relaxed);
                running.dropped = dropped;
                running.job.tick(now, late, desk)
            });
        }
    }

    /// Runs a part of a job such that a panic in it costs this job and nothing else.
    fn with(&mut self, id: ResidentId, desk: &mut Desk, run: impl FnOnce(&mut Running, &mut Desk) -> Progress) {
        let Some(running) = self.jobs.get_mut(&id) else { return };
        let progress = catch_unwind(AssertUnwindSafe(|| run(running, desk)));
        for asked in desk.take() {
            if !running.residence.ask(id, asked) {
                self.counts.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
        match progress {
            Ok(Progress::On) => {}
            Ok(Progress::Done) => self.remove(id),
            Err(_) => {
                tracing::error!(job = id.0, "a job of processing failed");
                self.counts.faults.fetch_add(1, Ordering::Relaxed);
                self.remove(id);
            }
        }
    }

    fn end(&mut self, id: ResidentId, reason: Ending) {
        let Some(running) = self.jobs.get_mut(&id) else { return };
        if catch_unwind(AssertUnwindSafe(|| running.job.end(reason))).is_err() {
            self.counts.faults.fetch_add(1, Ordering::Relaxed);
        }
        self.remove(id);
    }

    fn remove(&mut self, id: ResidentId) {
        if let Some(running) = self.jobs.remove(&id) {
            self.counts.jobs.fetch_sub(1, Ordering::Relaxed);
            running.residence.ask(id, Asked::Leave);
        }
    }

    fn end_all(&mut self) {
        let ids: Vec<ResidentId> = self.jobs.keys().copied().collect();
        ids.into_iter().for_each(|id| self.end(id, Ending::Stopping));
    }
}
