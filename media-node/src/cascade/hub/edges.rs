//! A room's tree: who is above and below, and how that changes.

use super::*;

/// A node is given up for another when the pause between attempts has grown to this.
const UNREACHABLE: Duration = Duration::from_millis(400);

impl Hub {
    /// Sets this node's place in a room's tree.
    pub fn set_route(&mut self, now: Instant, route: &Route, out: &mut impl Exits) -> Result<(), RouteError> {
        let known = self.by_room.get(&route.room).and_then(|key| self.rooms.get(*key));
        if let Some(room) = known.filter(|room| route.fence < room.fence) {
            return Err(RouteError::Fenced { given: route.fence, greatest: room.fence });
        }
        if known.is_none() && self.rooms.len() >= limits::MAX_ROOMS {
            return Err(RouteError::TooMany("rooms"));
        }
        if route.children.len() > limits::MAX_CHILDREN {
            return Err(RouteError::TooMany("children"));
        }
        let mut named = BTreeSet::from([self.me]);
        let above = route.parent.iter().chain(&route.standby).map(|neighbour| neighbour.node);
        for node in above.chain(route.children.iter().copied()) {
            if !named.insert(node) {
                return Err(RouteError::Twice(node));
            }
        }
        let mut above = [None; 2];
        for (place, neighbour) in above.iter_mut().zip([route.parent, route.standby]) {
            let Some(neighbour) = neighbour else { continue };
            let key = self.peer(now, neighbour.node)?;
            if let Some(peer) = self.peers.get_mut(key.0) {
                peer.address = Some(neighbour.address);
                peer.idle = now;
            }
            *place = Some(key);
        }
        let children = route.children.iter().map(|node| self.peer(now, *node)).collect::<Result<BTreeSet<_>, _>>()?;
        let [parent, standby] = above;
        let index = match self.by_room.get(&route.room) {
            Some(index) => *index,
            None => {
                let passed = now.saturating_duration_since(self.begun).as_micros();
                let number = self.epoch.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX));
                let index = self.rooms.insert(Room {
                    id: route.room.clone(),
                    place: out.place(&route.room),
                    fence: route.fence,
                    parent: None,
                    standby: None,
                    on_standby: false,
                    children: BTreeSet::new(),
                    edges: BTreeMap::new(),
                    tracks: HashMap::new(),
                    shadowed: HashMap::new(),
                    number,
                    seen: HashMap::new(),
                });
                self.by_room.insert(route.room.clone(), index);
                out.room(ToRoom::Join(route.room.clone()));
                index
            }
        };
        let Some(room) = self.rooms.get_mut(index) else { return Ok(()) };
        room.fence = route.fence;
        // The same command again doesn't go back to a parent that has died since.
        room.on_standby = room.on_standby && room.parent == parent && room.standby == standby;
        (room.parent, room.standby, room.children) = (parent, standby, children);
        let strangers: Vec<PeerKey> = room
            .edges
            .iter()
            .filter(|(peer, edge)| {
                let mine = room.upper() == Some(**peer) || room.children.contains(peer);
                // Old parents are left when the new one serves; old children are no longer allowed.
                !mine && (matches!(edge, Edge::Asked(_)) || room.upper().is_none())
            })
            .map(|(peer, _)| *peer)
            .collect();
        for peer in strangers {
            self.leave_edge(now, index, peer, out);
        }
        self.tick_links(now, out);
        self.rise(now, index, out);
        Ok(())
    }

    /// Takes a room out of the cascade.
    pub fn clear_route(
        &mut self,
        now: Instant,
        room: &RoomId,
        fence: u64,
        out: &mut impl Exits,
    ) -> Result<(), RouteError> {
        let Some(index) = self.by_room.get(room).copied() else { return Ok(()) };
        let Some(known) = self.rooms.get(index) else { return Ok(()) };
        if fence < known.fence {
            return Err(RouteError::Fenced { given: fence, greatest: known.fence });
        }
        let edges: Vec<PeerKey> = known.edges.keys().copied().collect();
        let tracks: Vec<Handle> = known.tracks.values().copied().collect();
        edges.into_iter().for_each(|peer| self.leave_edge(now, index, peer, out));
        tracks.into_iter().for_each(|handle| self.drop_track(handle, out));
        if let Some(room) = self.rooms.try_remove(index) {
            self.by_room.remove(&room.id);
            out.room(ToRoom::Leave(room.id));
        }
        Ok(())
    }

    /// Joins the node above if that isn't done, and lets go of one that isn't any more.
    fn rise(&mut self, now: Instant, index: usize, out: &mut impl Exits) {
        let Some(room) = self.rooms.get_mut(index) else { return };
        let upper = room.upper();
        let mut left = false;
        if upper.is_none_or(|upper| room.edges.get(&upper).is_some_and(|edge| edge.exchanges())) {
            for (peer, edge) in &mut room.edges {
                let mine = upper == Some(*peer) || room.children.contains(peer);
                match edge {
                    Edge::Joined if !mine => *edge = Edge::Going(now),
                    Edge::Going(_) if mine => *edge = Edge::Joined,
                    _ => continue,
                }
                left = true;
            }
        }
        if let Some(upper) = upper
            && !room.edges.contains_key(&upper)
            && self.peers.get(upper.0).is_some_and(|peer| matches!(peer.link, Link::Up(_)))
        {
            room.edges.insert(upper, Edge::Asked(now + limits::DIAL_TIMEOUT));
            let join = Control::Join(room.id.clone(), room.fence);
            self.tell(upper, &join, out);
        }
        if left {
            self.refresh_room(index, out);
        }
    }

    pub(super) fn pipe_up(&mut self, now: Instant, key: PeerKey, out: &mut impl Exits) {
        let rooms: Vec<usize> =
            self.rooms.iter().filter(|(_, room)| room.upper() == Some(key)).map(|(index, _)| index).collect();
        rooms.into_iter().for_each(|index| self.rise(now, index, out));
        // The first beat, so that the round-trip time is known from the start.
        if let Some(pipe) = self.peers.get_mut(key.0).and_then(Peer::pipe) {
            pipe.tick(now, |datagram| out.datagram(key, datagram));
        }
    }

    /// A node asks to be taken as a child.
    pub(super) fn asked(&mut self, now: Instant, key: PeerKey, room: &RoomId, fence: u64, out: &mut impl Exits) {
        let index = self.by_room.get(room).copied();
        let reason = match index.and_then(|index| self.rooms.get(index)) {
            None => Some("this node has no part in the room's tree"),
            Some(known) if fence < known.fence => Some("the fencing epoch is behind"),
            Some(known) if !known.children.contains(&key) => Some("not named as a child"),
            Some(_) => None,
        };
        if let Some(reason) = reason {
            return self.tell(key, &Control::Refused(room.clone(), reason.to_owned()), out);
        }
        let Some(index) = index else { return };
        // A node that asks anew has forgotten what was.
        self.forget_edge(now, index, key, out);
        self.tell(key, &Control::Joined(room.clone()), out);
        self.exchange(index, key, out);
    }

    /// A node took this one as a child.
    pub(super) fn joined(&mut self, now: Instant, key: PeerKey, room: &RoomId, out: &mut impl Exits) {
        let Some(index) = self.by_room.get(room).copied() else { return };
        if self.rooms.get(index).is_some_and(|room| matches!(room.edges.get(&key), Some(Edge::Asked(_)))) {
            self.exchange(index, key, out);
            self.rise(now, index, out);
        }
    }

    fn exchange(&mut self, index: usize, key: PeerKey, out: &mut impl Exits) {
        if let Some(room) = self.rooms.get_mut(index) {
            room.edges.insert(key, Edge::Joined);
        }
        self.refresh_room(index, out);
    }

    pub(super) fn refused(&mut self, now: Instant, key: PeerKey, room: &RoomId, reason: &str) {
        let Some(room) = self.by_room.get(room).and_then(|index| self.rooms.get_mut(*index)) else { return };
        if let Some(edge @ Edge::Asked(_)) = room.edges.get_mut(&key) {
            tracing::debug!(room = %room.id, reason, "not taken as a child yet");
            *edge = Edge::Asked(now + limits::REJOIN);
        }
    }

    pub(super) fn left(&mut self, now: Instant, key: PeerKey, room: &RoomId, out: &mut impl Exits) {
        if let Some(index) = self.by_room.get(room).copied() {
            self.forget_edge(now, index, key, out);
            if let Some(room) = self.rooms.get_mut(index)
                && room.upper() == Some(key)
            {
                // It was told something else than this node: asked again until the commands agree.
                room.edges.insert(key, Edge::Asked(now + limits::REJOIN));
            }
        }
    }

    fn leave_edge(&mut self, now: Instant, index: usize, key: PeerKey, out: &mut impl Exits) {
        let Some(room) = self.rooms.get(index) else { return };
        let leave = Control::Leave(room.id.clone());
        self.tell(key, &leave, out);
        self.forget_edge(now, index, key, out);
    }

    /// A pipe is gone: all its edges are.
    pub(super) fn drop_edges(&mut self, now: Instant, key: PeerKey, out: &mut impl Exits) {
        let rooms: Vec<usize> =
            self.rooms.iter().filter(|(_, room)| room.edges.contains_key(&key)).map(|(index, _)| index).collect();
        for index in rooms {
            self.forget_edge(now, index, key, out);
            if self.rooms.get(index).is_some_and(|room| room.upper() == Some(key)) {
                self.fail_over(index, out);
                self.rise(now, index, out);
            }
        }
    }

    /// The node above is dead. The standby takes its place, or the parent again if that was the standby; if there is no other, the same one
    /// is tried again.
    fn fail_over(&mut self, index: usize, out: &mut impl Exits) {
        let Some(room) = self.rooms.get_mut(index) else { return };
        let node = |key: Option<PeerKey>| self.peers.get(key?.0).map(|peer| peer.node);
        let other = if room.on_standby { room.parent } else { room.standby };
        let (dead, next) = (node(room.upper()), node(other));
        if next.is_some() {
            room.on_standby = !room.on_standby;
            self.failovers += 1;
        }
        if let Some(dead) = dead {
            tracing::warn!(room = %room.id, %dead, ?next, "the parent is dead");
            out.parent_lost(&room.id, dead, next);
        }
    }

    pub(super) fn tick_edges(&mut self, now: Instant, out: &mut impl Exits) {
        let rooms: Vec<usize> = self.rooms.iter().map(|(index, _)| index).collect();
        for index in rooms {
            let Some(room) = self.rooms.get_mut(index) else { continue };
            // A parent that can't be reached from the start is as dead as one that was lost.
            let unreachable = |key: PeerKey| {
                let link = self.peers.get(key.0).map(|peer| &peer.link);
                matches!(link, Some(Link::Down { pause, .. } | Link::Dialling { pause }) if *pause >= UNREACHABLE)
            };
            let reachable = |key: PeerKey| self.peers.get(key.0).is_some_and(|peer| matches!(peer.link, Link::Up(_)));
            let other = if room.on_standby { room.parent } else { room.standby };
            if room.upper().is_some_and(unreachable) && other.is_some_and(reachable) {
                self.fail_over(index, out);
            }
            let Some(room) = self.rooms.get_mut(index) else { continue };
            let mut over = Vec::new();
            for (peer, edge) in &room.edges {
                match edge {
                    Edge::Asked(again) if now >= *again => over.push((*peer, false)),
                    Edge::Going(since) => {
                        let passed = now.saturating_duration_since(*since);
                        let needed = || {
                            let tracks = room.tracks.values().filter_map(|handle| self.tracks.get(handle));
                            tracks.flat_map(|track| &track.layers).any(|layer| {
                                layer.feed.is_some_and(|feed| feed.peer == *peer)
                                    || layer.outs.iter().any(|(to, _)| to == peer)
                            })
                        };
                        if passed >= limits::LINGER.1 || (passed >= limits::LINGER.0 && !needed()) {
                            over.push((*peer, true));
                        }
                    }
                    _ => {}
                }
            }
            for (peer, leave) in over {
                if leave {
                    self.leave_edge(now, index, peer, out);
                } else if let Some(room) = self.rooms.get_mut(index) {
                    room.edges.remove(&peer);
                }
            }
            self.rise(now, index, out);
        }
    }
}
