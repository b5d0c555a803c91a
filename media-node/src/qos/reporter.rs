//! Sends the reports on sessions to the committee of this node in the epoch that they lie in.

use super::{
    epoch::{EpochClock, Placed},
    record::Author,
    report::{Interval, Intervals},
    scores::Scores,
};
use crate::{rpc::events::now_ms, sfu::Sfu};
use chroom_chain_client::{ChainClient, Membership};
use chroom_primitives::{NodeId, QosEpoch, Role};
use chroom_rpc::{channel, registry::QosClient, tls::Identity, v1};
use parking_lot::Mutex;
use prometheus_client::metrics::{counter::Counter, histogram::Histogram};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Status, transport::Channel};

/// Length of an interval.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// Reports that wait, to be placed or for one member.
const MAX_WAITING: usize = 8_192;
/// Committees that are remembered.
const COMMITTEES: usize = 8;
/// Reports in one call.
const BATCH: usize = 128;
/// Time that a member has for an answer.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Reports that a member didn't take for so long are dropped: its epoch is closed.
const TOO_OLD_MS: u64 = 120_000;

/// Sends reports.
pub struct Reporter {
    /// The node.
    pub node: NodeId,
    /// TLS identity.
    pub identity: Identity,
    /// Signs.
    pub author: Arc<Mutex<Author>>,
    /// Where the figures come from.
    pub sfu: Arc<Sfu>,
    /// For committees.
    pub chain: ChainClient,
    /// For epochs and endpoints.
    pub membership: watch::Receiver<Arc<Membership>>,
    /// What became of the reports.
    pub counts: ReportCounts,
    /// The node's own view of the quality.
    pub scores: Arc<Mutex<Scores>>,
}

/// Counts of reports, one per report and committee member.
#[derive(Clone, Debug)]
pub struct ReportCounts {
    /// Scores of sessions' intervals, in points.
    pub score: Histogram,
    /// Taken by a member.
    pub taken: Counter,
    /// Refused by a member.
    pub refused: Counter,
    /// Dropped because a member didn't take them in time.
    pub dropped: Counter,
}

impl Default for ReportCounts {
    fn default() -> Self {
        Self {
            // No pay at 40 points or less, full pay from 80 on.
            score: Histogram::new([20.0, 40.0, 60.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0, 97.5, 100.0]),
            taken: Counter::default(),
            refused: Counter::default(),
            dropped: Counter::default(),
        }
    }
}

struct Waiting {
    made_ms: u64,
    signed: Vec<u8>,
}

#[derive(Default)]
struct State {
    clock: EpochClock,
    intervals: Intervals,
    unplaced: VecDeque<Interval>,
    committees: BTreeMap<QosEpoch, Vec<NodeId>>,
    queues: HashMap<NodeId, VecDeque<Waiting>>,
    clients: HashMap<NodeId, (String, QosClient<Channel>)>,
}

impl Reporter {
    /// Runs until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut state = State::default();
        let mut tick = tokio::time::interval(INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    if let Ok((_, sessions)) = self.sfu.stats(None).await {
                        let cut = state.intervals.cut(now_ms(), &sessions);
                        for scored in self.scores.lock().take(&cut) {
                            self.counts.score.observe(f64::from(scored.0) / 100.0);
                        }
                        state.unplaced.extend(cut);
                        let over = state.unplaced.len().saturating_sub(MAX_WAITING);
                        state.unplaced.drain(..over);
                    }
                }
                changed = self.membership.changed() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
            let membership = self.membership.borrow_and_update().clone();
            state.clock.observe(&membership.epoch);
            self.place(&mut state).await;
            self.send(&mut state, &membership).await;
        }
    }

    /// Signs what can be placed and queues it for each member of its committee.
    async fn place(&self, state: &mut State) {
        while let Some(interval) = state.unplaced.front() {
            let epoch = match state.clock.place(interval.to_ms) {
                Placed::In(epoch) => epoch,
                Placed::Later => return,
                Placed::Gone => {
                    state.unplaced.pop_front();
                    continue;
                }
            };
            let known = state.committees.get(&epoch).cloned();
            let committee = match known {
                Some(committee) => committee,
                None => match self.chain.committee(epoch, self.node).await {
                    Ok(committee) => {
                        tracing::debug!(epoch = epoch.0, members = committee.len(), "committee learnt");
                        state.committees.insert(epoch, committee.clone());
                        while state.committees.len() > COMMITTEES {
                            state.committees.pop_first();
                        }
                        committee
                    }
                    Err(error) => {
                        tracing::warn!(epoch = epoch.0, %error, "the committee can't be read; reports wait");
                        return;
                    }
                },
            };
            let Some(interval) = state.unplaced.pop_front() else { return };
            let now = now_ms();
            let signed = self.author.lock().report(now, &interval, epoch);
            for member in committee {
                let queue = state.queues.entry(member).or_default();
                queue.push_back(Waiting { made_ms: now, signed: signed.clone() });
                if queue.len() > MAX_WAITING {
                    queue.pop_front();
                }
            }
        }
    }

    async fn send(&self, state: &mut State, membership: &Membership) {
        let State { queues, clients, .. } = state;
        let now = now_ms();
        queues.retain(|_, queue| {
            let before = queue.len();
            queue.retain(|waiting| now.saturating_sub(waiting.made_ms) < TOO_OLD_MS);
            self.counts.dropped.inc_by((before - queue.len()) as u64);
            !queue.is_empty()
        });
        let mut calls = Vec::new();
        for (member, queue) in queues.iter() {
            let Some(registration) = membership.get(member).filter(|_| membership.is_member(member, Role::Registry))
            else {
                continue;
            };
            let endpoint = registration.endpoint.to_string();
            let known = clients.get(member).filter(|(at, _)| *at == endpoint).map(|(_, client)| client.clone());
            let mut client = match known {
                Some(client) => client,
                None => match channel::connect(&self.identity, &registration.endpoint, Some(*member)) {
                    Ok(channel) => {
                        let client = QosClient::new(channel);
                        clients.insert(*member, (endpoint, client.clone()));
                        client
                    }
                    Err(error) => {
                        tracing::warn!(%member, %error, "a committee member can't be reached");
                        continue;
                    }
                },
            };
            let batch: Vec<Vec<u8>> = queue.iter().take(BATCH).map(|waiting| waiting.signed.clone()).collect();
            let (member, count) = (*member, batch.len());
            calls.push(async move {
                let call = client.submit_node_reports(v1::SubmitNodeReportsRequest { signed_reports: batch });
                let answer = match tokio::time::timeout(TIMEOUT, call).await {
                    Ok(answer) => answer.map(tonic::Response::into_inner),
                    Err(_) => Err(Status::deadline_exceeded("no answer in time")),
                };
                (member, count, answer)
            });
        }
        for (member, count, answer) in futures::future::join_all(calls).await {
            match answer {
                Ok(response) => {
                    let refused = response.refused.len().min(count) as u64;
                    self.counts.refused.inc_by(refused);
                    self.counts.taken.inc_by(count as u64 - refused);
                    for refusal in response.refused.iter().take(3) {
                        tracing::warn!(%member, reason = refusal.reason, "a committee member refused a report");
                    }
                    if let Some(queue) = queues.get_mut(&member) {
                        queue.drain(..count.min(queue.len()));
                    }
                }
                Err(status) => {
                    tracing::warn!(%member, code = ?status.code(), reason = status.message(), "reports not taken; they wait");
                }
            }
        }
    }
}
