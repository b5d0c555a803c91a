//! Pipes come up and end.

use super::*;
use crate::cascade::{ceiling::Ceiling, control, grievance::Grievance};

impl Hub {
    /// The node's place among the peers.
    pub fn peer(&mut self, now: Instant, node: NodeId) -> Result<PeerKey, RouteError> {
        if let Some(key) = self.by_node.get(&node) {
            return Ok(*key);
        }
        if self.peers.len() >= limits::MAX_PEERS {
            return Err(RouteError::TooMany("pipes"));
        }
        let link = Link::Down { again: now, pause: limits::REDIAL.0 };
        let (ceiling, grievance) = (Ceiling::default(), Grievance::default());
        let key = PeerKey(self.peers.insert(Peer { node, address: None, link, idle: now, ceiling, grievance }));
        self.by_node.insert(node, key);
        Ok(key)
    }

    /// A connection to a node is up, whoever made it. It takes the place of an earlier one.
    pub fn connected(&mut self, now: Instant, key: PeerKey, out: &mut impl Exits) {
        if let Some(peer) = self.peers.get(key.0)
            && matches!(peer.link, Link::Up(_) | Link::Greeting { .. })
        {
            self.drop_pipe(now, key, out);
        }
        if let Some(peer) = self.peers.get_mut(key.0) {
            let pause = match peer.link {
                Link::Down { pause, .. } | Link::Dialling { pause } => pause,
                _ => limits::REDIAL.0,
            };
            peer.link = Link::Greeting { since: now, pause };
            peer.idle = now;
        }
        out.control(key, control::encode(&Control::Hello(limits::VERSION, limits::OLDEST_VERSION)));
    }

    /// A connection is gone, or could not be made.
    pub fn lost(&mut self, now: Instant, key: PeerKey, out: &mut impl Exits) {
        let Some(peer) = self.peers.get(key.0) else { return };
        if matches!(peer.link, Link::Down { .. }) {
            return;
        }
        self.drop_pipe(now, key, out);
    }

    fn drop_pipe(&mut self, now: Instant, key: PeerKey, out: &mut impl Exits) {
        let Some(peer) = self.peers.get_mut(key.0) else { return };
        let was_up = matches!(peer.link, Link::Up(_));
        // A pipe that was up is tried at once; one that couldn't be made is tried more and more seldom.
        let (wait, pause) = match peer.link {
            Link::Up(_) => (Duration::ZERO, limits::REDIAL.0),
            Link::Down { pause, .. } | Link::Dialling { pause } | Link::Greeting { pause, .. } => {
                (pause, (pause * 2).min(limits::REDIAL.1))
            }
        };
        peer.link = Link::Down { again: now + wait, pause };
        if was_up {
            tracing::info!(peer = %peer.node, "pipe lost");
        }
        self.drop_edges(now, key, out);
    }

    fn hang_up(&mut self, now: Instant, key: PeerKey, reason: &str, out: &mut impl Exits) {
        if let Some(peer) = self.peers.get(key.0) {
            tracing::info!(peer = %peer.node, reason, "pipe closed");
        }
        out.hang_up(key, reason);
        self.drop_pipe(now, key, out);
    }

    /// What came on a pipe's reliable stream, one message.
    pub fn control(&mut self, now: Instant, key: PeerKey, message: Control, out: &mut impl Exits) {
        let Some(peer) = self.peers.get_mut(key.0) else { return };
        match (&mut peer.link, &message) {
            (Link::Greeting { .. }, Control::Hello(version, oldest)) => {
                if limits::VERSION < *oldest || *version < limits::OLDEST_VERSION {
                    return self.hang_up(now, key, "no common version", out);
                }
                tracing::info!(peer = %peer.node, version, "pipe up");
                peer.link = Link::Up(Box::new(Pipe::new(now)));
                return self.pipe_up(now, key, out);
            }
            (Link::Up(pipe), _) => pipe.heard(now),
            _ => return self.hang_up(now, key, "the first message is a hello", out),
        }
        match message {
            Control::Hello(..) => {}
            Control::Join(room, fence) => self.asked(now, key, &room, fence, out),
            Control::Joined(room) => self.joined(now, key, &room, out),
            Control::Refused(room, reason) => self.refused(now, key, &room, &reason),
            Control::Leave(room) => self.left(now, key, &room, out),
            Control::Announce(announce) => self.announced(now, key, announce, out),
            Control::Layers(room, track, layers) => self.layers_changed(key, &room, &track, layers, out),
            Control::Withdraw(room, track, over) => self.withdrawn(now, key, &room, &track, over, out),
            Control::Subscribe(room, track, layer, stream) => {
                self.subscribed(key, &room, &track, layer, stream, out);
            }
            Control::Unsubscribe(stream) => self.unsubscribed(key, stream, out),
            Control::Keyframe(stream) => {
                if let Some((handle, layer)) = self.served.get(&(key, stream)).copied() {
                    self.want_keyframe(now, handle, layer, out);
                }
            }
            Control::Data(data) => self.message(key, data, out),
        }
    }

    /// Lets the pipes that are up ask, tell and beat; ends those that are dead.
    pub(super) fn tick_pipes(&mut self, now: Instant, out: &mut impl Exits) {
        let mut dead = Vec::new();
        for (index, peer) in &mut self.peers {
            let Some(pipe) = peer.pipe() else { continue };
            if pipe.is_dead(now) {
                dead.push(PeerKey(index));
            } else {
                pipe.tick(now, |datagram| out.datagram(PeerKey(index), datagram));
            }
        }
        dead.into_iter().for_each(|key| self.hang_up(now, key, "nothing heard", out));
    }

    /// Looks for pipes that are too narrow for what comes over them, or bad for long.
    pub(super) fn judge_pipes(&mut self, now: Instant, out: &mut impl Exits) {
        let (mut changed, mut poor) = (Vec::new(), Vec::new());
        for (index, peer) in &mut self.peers {
            let Link::Up(pipe) = &peer.link else { continue };
            let (residual, top) = pipe.strain();
            if peer.ceiling.judge(now, residual, top) {
                tracing::info!(peer = %peer.node, residual, ceiling = peer.ceiling.level(), "the layers that a pipe carries change");
                changed.push(PeerKey(index));
            }
            if peer.grievance.judge(now, pipe.residual(), peer.ceiling.is_proven()) {
                poor.push((PeerKey(index), peer.node));
            }
        }
        for (key, node) in poor {
            for (_, room) in self.rooms.iter().filter(|(_, room)| room.upper() == Some(key)) {
                tracing::warn!(room = %room.id, parent = %node, "the pipe to the parent has been bad for long");
                out.parent_poor(&room.id, node);
            }
        }
        changed.into_iter().for_each(|key| self.show_tracks_by(key, out));
    }

    /// Dials the nodes that rooms need, and forgets those that none does.
    pub(super) fn tick_links(&mut self, now: Instant, out: &mut impl Exits) {
        let mut above: BTreeSet<PeerKey> = BTreeSet::new();
        let mut named: BTreeSet<PeerKey> = BTreeSet::new();
        for (_, room) in &self.rooms {
            above.extend(room.parent.iter().chain(&room.standby));
            named.extend(room.children.iter().chain(room.edges.keys()));
        }
        let mut over = Vec::new();
        for (index, peer) in &mut self.peers {
            let key = PeerKey(index);
            if above.contains(&key) || named.contains(&key) {
                peer.idle = now;
            }
            let unused = now.saturating_duration_since(peer.idle) >= limits::IDLE_PIPE;
            match peer.link {
                Link::Greeting { since, .. } if now.saturating_duration_since(since) >= limits::DIAL_TIMEOUT => {
                    over.push((key, "no hello"));
                }
                Link::Up(_) | Link::Down { .. } if unused => over.push((key, "no room uses the pipe")),
                Link::Down { again, pause } if now >= again && above.contains(&key) => {
                    if let Some(address) = peer.address {
                        peer.link = Link::Dialling { pause };
                        out.dial(key, peer.node, address);
                    }
                }
                _ => {}
            }
        }
        for (key, reason) in over {
            if self.peers.get(key.0).is_some_and(|peer| !matches!(peer.link, Link::Down { .. })) {
                self.hang_up(now, key, reason, out);
            } else if let Some(peer) = self.peers.try_remove(key.0) {
                self.by_node.remove(&peer.node);
            }
        }
    }
}
