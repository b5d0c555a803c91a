//! Commands to media nodes and what comes of them.

use super::{
    super::{
        error::Refusal,
        exchange::{Command, Effect, Failure, Outcome, Reply},
        ids::{Fence, Generation, OperationId, RoomId, SessionId},
        room::Room,
    },
    Core, Operation, OperationKind, Turn,
};
use chroom_primitives::NodeId;
use std::collections::BTreeSet;
use tracing::debug;

/// How long a node without rooms is still watched, in milliseconds.
const UNWATCH_MS: u64 = 60_000;

impl Core {
    pub(super) fn watch(&mut self, t: &mut Turn<'_>, node: NodeId) {
        if self.watched.insert(node, t.now).is_none() {
            t.out.push(Effect::Watch(node));
        }
    }

    pub(super) fn unwatch(&mut self, t: &mut Turn<'_>) {
        let needed: BTreeSet<NodeId> = self
            .rooms
            .values()
            .flat_map(|room| room.tree.nodes())
            .chain(self.leftovers.keys().copied())
            .chain(self.operations.values().map(|operation| operation.node))
            .collect();
        let now = t.now;
        self.watched.retain(|node, last| {
            if needed.contains(node) {
                *last = now;
            }
            let keep = *last + UNWATCH_MS > now;
            if !keep {
                t.out.push(Effect::Unwatch(*node));
            }
            keep
        });
    }

    pub(super) fn command(
        &mut self,
        t: &mut Turn<'_>,
        kind: OperationKind,
        session: SessionId,
        room: &Room,
        node: NodeId,
        command: Command,
    ) {
        self.watch(t, node);
        self.next_operation += 1;
        let operation = OperationId(self.next_operation);
        self.operations.insert(
            operation,
            Operation {
                kind,
                session,
                room: room.id.clone(),
                node,
                generation: room.generation,
                fence: room.fence_on(node),
            },
        );
        t.out.push(Effect::Command { node, operation, command });
    }

    /// Sends a command that ends something, whatever comes of it.
    pub(super) fn send_off(&mut self, t: &mut Turn<'_>, node: NodeId, room: &RoomId, fence: Fence, command: Command) {
        self.send(t, OperationKind::Close, node, room, fence, command);
    }

    /// Sends a command that concerns a room on a node, and none of its sessions.
    pub(super) fn send(
        &mut self,
        t: &mut Turn<'_>,
        kind: OperationKind,
        node: NodeId,
        room: &RoomId,
        fence: Fence,
        command: Command,
    ) {
        self.watch(t, node);
        self.next_operation += 1;
        let operation = OperationId(self.next_operation);
        // No session is concerned, and no placement.
        let (session, generation) = (SessionId([0; 16]), Generation(0));
        self.operations.insert(operation, Operation { kind, session, room: room.clone(), node, generation, fence });
        t.out.push(Effect::Command { node, operation, command });
    }

    pub(super) fn completed(&mut self, t: &mut Turn<'_>, operation: OperationId, result: Result<Outcome, Failure>) {
        let Some(operation) = self.operations.remove(&operation) else { return };
        match operation.kind {
            OperationKind::Close => {
                if let Err(failure) = result {
                    debug!(node = %operation.node, %failure, "closing on a media node failed");
                }
            }
            OperationKind::CloseRoom => {
                if let Err(Failure::Unreachable(_)) = result {
                    // When it is back.
                    self.leave_behind(t, operation.node, &operation.room, operation.fence, None);
                } else if let Some(room) = self.rooms.get_mut(&operation.room) {
                    room.tree.closed(operation.node);
                    t.rooms.insert(operation.room.clone());
                }
            }
            OperationKind::Open => self.opened(t, &operation, result),
            OperationKind::Route => self.routed(t, &operation, result),
            OperationKind::Negotiate { call, ref publish, ref new } => {
                self.negotiated(t, &operation, call, publish, new, result);
            }
            OperationKind::Subscribe { call } => {
                if let Err(failure) = &result {
                    debug!(session = %operation.session, node = %operation.node, %failure, "subscribing failed");
                }
                if let Some(call) = call {
                    self.land(operation.session);
                    let result = result.map(|_| Reply::Done);
                    t.reply(call, result.map_err(|failure| Refusal::MediaNodeFailed(failure.to_string())));
                }
            }
        }
    }

    /// Refuses calls whose commands fit.
    pub(super) fn fail_calls(
        &mut self,
        t: &mut Turn<'_>,
        fits: impl Fn(&Operation) -> bool,
        refusal: &dyn Fn() -> Refusal,
    ) {
        for operation in self.operations.values_mut().filter(|operation| fits(operation)) {
            let call = match &mut operation.kind {
                OperationKind::Negotiate { call, .. } => *call,
                OperationKind::Subscribe { call: Some(call) } => *call,
                _ => continue,
            };
            operation.kind = OperationKind::Close;
            t.reply(call, Err(refusal()));
        }
    }
}
