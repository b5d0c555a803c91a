//! Watch streams: everything that matches, then each change. A watcher that falls behind gets everything anew.

use super::entry;
use crate::{
    datastore::{Change, Register},
    metrics::Metrics,
};
use chroom_primitives::{NodeId, Role};
use chroom_rpc::v1::{self, watch_event::Event};
use futures::{StreamExt, stream::BoxStream};
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// Events that wait for a slow watcher; beyond that, changes pile up in the broadcast channel and are then replaced by a new start.
const QUEUE: usize = 256;

/// The stream of a watcher of `roles` (all, if empty).
pub fn stream(
    register: Arc<Register>,
    roles: Vec<Role>,
    metrics: Arc<Metrics>,
) -> BoxStream<'static, Result<v1::WatchEvent, Status>> {
    let (send, receive) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        metrics.watchers.inc();
        let mut watcher = Watcher { register, roles, shown: BTreeSet::new(), send };
        // It ends when the watcher goes.
        let _gone = watcher.run().await;
        metrics.watchers.dec();
    });
    ReceiverStream::new(receive).map(Ok).boxed()
}

/// The watcher has gone.
struct Gone;

struct Watcher {
    register: Arc<Register>,
    roles: Vec<Role>,
    shown: BTreeSet<NodeId>,
    send: mpsc::Sender<v1::WatchEvent>,
}

impl Watcher {
    async fn run(&mut self) -> Result<(), Gone> {
        // Subscribed before the first look, so nothing falls between.
        let mut changes = self.register.changes();
        self.everything().await?;
        loop {
            let next = tokio::select! {
                next = changes.recv() => next,
                () = self.send.closed() => return Err(Gone),
            };
            match next {
                Ok(Change(node)) => {
                    // What piled up meanwhile is told once per node.
                    let mut nodes = BTreeSet::from([node]);
                    let mut lagged = false;
                    loop {
                        match changes.try_recv() {
                            Ok(Change(node)) => drop(nodes.insert(node)),
                            Err(broadcast::error::TryRecvError::Lagged(_)) => lagged = true,
                            Err(_) => break,
                        }
                    }
                    if lagged {
                        self.everything().await?;
                    } else {
                        for node in nodes {
                            self.one(node).await?;
                        }
                    }
                }
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "a watcher fell behind: sending everything anew");
                    self.everything().await?;
                }
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            }
        }
    }

    fn wants(&self, role: Role) -> bool {
        self.roles.is_empty() || self.roles.contains(&role)
    }

    async fn emit(&self, event: Event) -> Result<(), Gone> {
        self.send.send(v1::WatchEvent { event: Some(event) }).await.map_err(|_| Gone)
    }

    async fn everything(&mut self) -> Result<(), Gone> {
        let views = self.register.views(None);
        let mut now = BTreeSet::new();
        for view in views.iter().filter(|view| self.wants(view.record.payload.role)) {
            now.insert(view.record.payload.node);
            self.emit(Event::Upsert(entry(view))).await?;
        }
        let before = std::mem::replace(&mut self.shown, now);
        let gone: Vec<NodeId> = before.difference(&self.shown).copied().collect();
        for node in gone {
            self.emit(Event::Removed(node.0.to_vec())).await?;
        }
        self.emit(Event::Synced(true)).await
    }

    async fn one(&mut self, node: NodeId) -> Result<(), Gone> {
        match self.register.view(&node).filter(|view| self.wants(view.record.payload.role)) {
            Some(view) => {
                self.shown.insert(node);
                self.emit(Event::Upsert(entry(&view))).await
            }
            None if self.shown.remove(&node) => self.emit(Event::Removed(node.0.to_vec())).await,
            None => Ok(()),
        }
    }
}
