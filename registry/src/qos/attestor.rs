//! Closes epochs: scores, builds the tree, cuts the snapshot, keeps both, sends the roots.

use super::{
    attestation::Attestation,
    capacity,
    epoch::{Progress, Step},
    intake::Intake,
    scoring::{self, Observed, SessionFacts},
};
use crate::{
    chain::{Chain, ChainError},
    clock::now_ms,
    datastore::{snapshot::Snapshot, store::StoreError},
    metrics::{Metrics, outcome},
};
use chroom_primitives::{Leaf, NodeId, QosEpoch, Role, Score, UnixMs, epoch::EpochInfo};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Regular look at the chain and the clock.
const TICK: Duration = Duration::from_secs(1);
/// After a start, records that were missed are fetched first, in milliseconds.
const CATCH_UP_MS: u64 = 6_000;
/// Later than this after an epoch's end the register cannot be cut as of then any more, in milliseconds.
const TOO_LATE_MS: u64 = 100_000;
/// Receipts, reports and probes are kept for this many epochs after theirs, for looking into disputes.
const KEEP_EPOCHS: u64 = 64;

/// Old ones are looked for once in so many epochs: it takes a look at everything.
const SWEEP_EPOCHS: u32 = 16;

/// An epoch cannot be closed now.
#[derive(Debug, thiserror::Error)]
enum CloseError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the beginning of epoch {} is not known yet", .0.0)]
    NoStart(QosEpoch),
    #[error("the chain names no committees of epoch {} for this node, which it was drawn for: the chain node is behind", .0.0)]
    Behind(QosEpoch),
    #[error("the task was cancelled")]
    Cancelled,
}

/// The attestor's task.
pub struct Attestor {
    node: NodeId,
    chain: Arc<dyn Chain>,
    intake: Arc<Intake>,
    metrics: Arc<Metrics>,
    started_ms: UnixMs,
    /// The epoch whose root is being sent.
    sending: Option<(QosEpoch, JoinHandle<Result<(), ChainError>>)>,
    /// The epoch that nothing more can be done about.
    given_up: Option<QosEpoch>,
    /// Scores of the epoch that was closed last, as long as others could still send them as their own.
    unpublished: Option<(QosEpoch, Vec<(NodeId, Score)>)>,
}

impl std::fmt::Debug for Attestor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attestor").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Attestor {
    /// Attests as `node`.
    pub fn new(node: NodeId, chain: Arc<dyn Chain>, intake: Arc<Intake>, metrics: Arc<Metrics>) -> Self {
        Self { node, chain, intake, metrics, started_ms: now_ms(), sending: None, given_up: None, unpublished: None }
    }

    /// Works until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut turn = 0u64;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = tick.tick() => {}
            }
            turn += 1;
            // The best block is worth a question every other second.
            if turn % 2 == 1 {
                self.look().await;
            }
            self.publish();
            if let Err(error) = self.work().await {
                tracing::warn!(%error, "cannot attend to the epoch now, trying again");
            }
        }
    }

    /// Takes in what the chain says of epochs.
    async fn look(&self) {
        match self.chain.head().await {
            Ok(head) => self.intake.with_schedule(|s| s.times.observe(head.block, head.epoch)),
            Err(error) => tracing::debug!(%error, "no best block"),
        }
        let members = self.intake.register().members();
        self.metrics.finalised_block.set(i64::from(members.block));
        // Assignments and earlier beginnings are asked for once they are final.
        let current = members.epoch.current;
        for epoch in [Some(current), current.previous()].into_iter().flatten() {
            let (unassigned, unknown) =
                self.intake.with_schedule(|s| (s.assigned(epoch).is_none(), s.times.start(epoch).is_none()));
            if unassigned {
                match self.chain.assignments(epoch, self.node).await {
                    Ok(nodes) => {
                        tracing::info!(epoch = epoch.0, nodes = nodes.len(), "drawn for the committees of these nodes");
                        self.intake.with_schedule(|s| s.assign(epoch, nodes));
                    }
                    Err(error) => tracing::debug!(%error, "no assignments"),
                }
            }
            if unknown && let Ok(Some(start)) = self.chain.epoch_start_ms(epoch).await {
                self.intake.with_schedule(|s| s.times.learn(epoch, start));
            }
        }
    }

    /// Shows the scores of the closed epoch once no more roots are taken for it.
    fn publish(&mut self) {
        if let Some((_, scores)) =
            self.unpublished.take_if(|(epoch, _)| self.intake.with_schedule(|s| s.times.roots_are_in(*epoch)))
        {
            self.intake.register().put_scores(scores);
        }
    }

    fn progress(&self, ended: QosEpoch) -> Result<Progress, StoreError> {
        if self.given_up == Some(ended) {
            return Ok(Progress::Done);
        }
        Ok(match self.intake.register().store().attestation(ended)? {
            None => Progress::Open,
            Some(attestation) if attestation.submitted => Progress::Done,
            Some(_) => Progress::Closed,
        })
    }

    async fn work(&mut self) -> Result<(), CloseError> {
        self.reap().await?;
        let Some(info) = self.intake.with_schedule(|s| s.times.current().cloned()) else { return Ok(()) };
        let Some(ended) = info.current.previous() else { return Ok(()) };
        let progress = self.progress(ended)?;
        let now = now_ms();
        match self.intake.with_schedule(|s| s.times.step(progress, now)) {
            Step::Idle | Step::WaitUntil(_) => Ok(()),
            Step::Close { epoch, to } => {
                if now.saturating_sub(to) > TOO_LATE_MS {
                    tracing::warn!(epoch = epoch.0, "was not there when the epoch ended: no attestation");
                    self.give_up(epoch, "absent");
                    return Ok(());
                }
                if now < self.started_ms.saturating_add(CATCH_UP_MS) {
                    return Ok(());
                }
                self.close(epoch, &info).await
            }
            Step::Submit(epoch) => self.send(epoch),
            Step::Missed(epoch) if self.sending.is_none() => self.missed(epoch).await,
            Step::Missed(_) => Ok(()),
        }
    }

    fn give_up(&mut self, epoch: QosEpoch, why: &str) {
        self.given_up = Some(epoch);
        self.metrics.epochs.get_or_create(&outcome(why)).inc();
    }

    async fn close(&mut self, epoch: QosEpoch, info: &EpochInfo) -> Result<(), CloseError> {
        // The best chain may have changed since: ask once more for the beginning that everything is cut by.
        let head = self.chain.head().await?;
        if head.epoch != *info {
            self.intake.with_schedule(|s| s.times.observe(head.block, head.epoch));
            return Ok(());
        }
        let to = info.started_ms;
        let from = self.intake.with_schedule(|s| s.times.start(epoch)).ok_or(CloseError::NoStart(epoch))?;
        let members = self.chain.members_at(info.started_at).await?;
        let assigned = self.chain.assignments(epoch, self.node).await?;
        // A root without leaves could never be taken back.
        let drawn = self.intake.with_schedule(|s| s.assigned(epoch).is_some_and(|nodes| !nodes.is_empty()));
        if assigned.is_empty() && drawn {
            return Err(CloseError::Behind(epoch));
        }
        let (intake, attestor) = (self.intake.clone(), self.node);
        let closing = tokio::task::spawn_blocking(move || {
            let register = intake.register().clone();
            let snapshot = register.cut(epoch, to, &members);
            let attestation = intake.paused(|| -> Result<Attestation, StoreError> {
                let mut leaves = Vec::new();
                for node in &assigned {
                    leaves.extend(scoring::leaves(epoch, attestor, *node, &observe(&intake, node, from, to)?));
                }
                let attestation = Attestation::new(epoch, leaves, snapshot.root());
                // On disk before anyone hears of it: whatever happens now, there is never a second root.
                register.store().put_epoch(&attestation, &snapshot)?;
                Ok(attestation)
            })?;
            let keep = to.saturating_sub(to.saturating_sub(from).saturating_mul(KEEP_EPOCHS));
            if epoch.0.is_multiple_of(SWEEP_EPOCHS) {
                register.store().forget_before(keep)?;
            }
            register.forget_before(from.saturating_sub(to.saturating_sub(from)));
            Ok::<(Attestation, Snapshot), StoreError>((attestation, snapshot))
        });
        let (attestation, snapshot) = closing.await.map_err(|_| CloseError::Cancelled)??;
        self.unpublished = Some((epoch, attestation.scores().collect()));
        let quality = attestation.quality();
        tracing::info!(
            epoch = epoch.0, leaves = quality.leaves, quality = ?quality.hash, records = snapshot.records.len(),
            snapshot = ?attestation.snapshot.hash, "epoch closed"
        );
        for leaf in &attestation.leaves {
            if let Leaf::Qos(leaf) = leaf {
                tracing::info!(
                    epoch = epoch.0, node = %leaf.node, score = leaf.score.0, uptime = leaf.uptime, samples = leaf.samples,
                    sources = leaf.sources.0, "scored"
                );
            }
        }
        self.metrics.epochs.get_or_create(&outcome("closed")).inc();
        Ok(())
    }

    fn send(&mut self, epoch: QosEpoch) -> Result<(), CloseError> {
        if self.sending.is_some() {
            return Ok(());
        }
        if !self.intake.register().members().is_member(&self.node, Role::Registry) {
            tracing::info!(epoch = epoch.0, "not a registry node in service on the chain: nothing is sent");
            self.give_up(epoch, "unregistered");
            return Ok(());
        }
        let Some(attestation) = self.intake.register().store().attestation(epoch)? else { return Ok(()) };
        let (chain, node) = (self.chain.clone(), self.node);
        let roots = attestation.roots();
        let sending = tokio::spawn(async move {
            // Nothing is sent without knowing what the chain has: roots that differ from those that were sent before a restart would be
            // this node's own contradiction, and slashed.
            match chain.attestation(epoch, node).await? {
                Some(sent) if sent == roots => Ok(()),
                Some(_) => Err(ChainError::Refused(
                    "the chain has other roots of this node: was its data lost, or does another process use its key?"
                        .into(),
                )),
                None => chain.submit_root(epoch, roots.quality, roots.snapshot).await,
            }
        });
        self.sending = Some((epoch, sending));
        Ok(())
    }

    /// The window has passed before the disk says that the chain has the roots. If the process ended between sending and noting, it has.
    async fn missed(&mut self, epoch: QosEpoch) -> Result<(), CloseError> {
        let (register, closes_at) =
            (self.intake.register().clone(), self.intake.with_schedule(|s| s.times.closes_at()));
        if closes_at.is_none_or(|block| register.members().block < block) {
            // What was sent last may not be final yet.
            return Ok(());
        }
        let store = register.store();
        let Some(attestation) = store.attestation(epoch)? else { return Ok(()) };
        if self.chain.attestation(epoch, self.node).await? == Some(attestation.roots()) {
            store.mark_submitted(epoch)?;
            tracing::info!(epoch = epoch.0, "the chain has the epoch's roots since before the restart");
        } else {
            tracing::error!(epoch = epoch.0, "the window for the epoch's root has passed");
            self.give_up(epoch, "missed");
        }
        Ok(())
    }

    /// Takes in what became of a root that was sent.
    async fn reap(&mut self) -> Result<(), CloseError> {
        if !self.sending.as_ref().is_some_and(|(_, task)| task.is_finished()) {
            return Ok(());
        }
        let Some((epoch, task)) = self.sending.take() else { return Ok(()) };
        match task.await.map_err(|_| CloseError::Cancelled)? {
            Ok(()) => {
                self.intake.register().store().mark_submitted(epoch)?;
                tracing::info!(epoch = epoch.0, "the chain has the epoch's roots");
                self.metrics.epochs.get_or_create(&outcome("submitted")).inc();
            }
            Err(ChainError::Unavailable(reason)) => {
                tracing::warn!(epoch = epoch.0, reason, "the epoch's roots are not on the chain yet, trying again");
            }
            Err(ChainError::NotAttestor) => {
                tracing::info!(epoch = epoch.0, "not in service yet when the epoch began: no say in it");
                self.give_up(epoch, "not_attestor");
            }
            Err(ChainError::Refused(reason)) => {
                tracing::error!(epoch = epoch.0, reason, "the chain refuses the epoch's roots");
                self.give_up(epoch, "refused");
            }
        }
        Ok(())
    }
}

/// Everything on disk about a node in `from..to`.
fn observe(intake: &Intake, node: &NodeId, from: UnixMs, to: UnixMs) -> Result<Observed, StoreError> {
    let register = intake.register();
    let store = register.store();
    let mut observed = Observed {
        receipts: store.receipts(node, from, to)?,
        probes: store.probes(node, from, to)?,
        uptime: register.uptime(node, from, to),
        ..Default::default()
    };
    let reports = store.reports(node, from, to)?;
    observed.node_reports = u32::try_from(reports.len()).unwrap_or(u32::MAX);
    let reported = reports.iter().map(|r| r.sent_bytes.saturating_add(r.received_bytes)).fold(0, u64::saturating_add);
    let claimed = observed.receipts.iter().map(|(_, r)| r.bytes()).fold(0, u64::saturating_add);
    if !reports.is_empty() && scoring::claims_exceed_reports(claimed, reported) {
        tracing::warn!(%node, claimed, reported, "callers' receipts claim more bytes than the node reports");
    }
    for (session, _) in &observed.receipts {
        if observed.sessions.contains_key(session) {
            continue;
        }
        if let Some(known) = store.session(session, node)? {
            let grant = &known.grant.payload;
            let (application, orchestrator) = (grant.application.clone(), grant.orchestrator);
            observed.sessions.insert(*session, SessionFacts { operator: known.operator, application, orchestrator });
        }
    }
    // What the chain doesn't have any more was committed to nothing.
    if let Some(class) = register.members().get(node).map(|registration| registration.class) {
        let offers = register.offers(node, from, to);
        let part = capacity::offered(class.committed_kbps(), &offers, &observed, from, to);
        if part < 10_000 {
            tracing::info!(%node, class = class.name(), part, "offered less than its class commits it to");
        }
        observed.offered = Some(part);
    }
    Ok(observed)
}
