//! Which tracks there are, by which ways they come, and who has what of them.

use super::*;
use crate::cascade::{control::Announce, link::LocalTrack};

impl Track {
    /// The best way: one that stays, the shortest, the newest.
    pub(super) fn best(&self) -> Option<&Way> {
        self.ways.iter().min_by_key(|way| (way.going || way.leaving, way.path.len(), std::cmp::Reverse(way.order)))
    }

    /// The layers as they can be had: those above a narrow pipe's ceiling seem paused.
    pub(super) fn shown(&self, peers: &Slab<Peer>) -> Vec<LayerInfo> {
        let ceiling = self.best().and_then(|best| peers.get(best.from.0)).map(|peer| usize::from(peer.ceiling.level()));
        let fits = |index: usize| ceiling.is_none_or(|ceiling| index <= ceiling);
        let layers = self.infos.iter().enumerate();
        layers.map(|(index, info)| LayerInfo { alive: info.alive && fits(index), ..*info }).collect()
    }

    pub(super) fn wanted(&self, layer: usize) -> bool {
        self.interest & bit(layer) != 0 || self.layers.get(layer).is_some_and(|layer| !layer.outs.is_empty())
    }
}

/// The bit of a layer in a set of layers.
pub(super) fn bit(layer: usize) -> u8 {
    u32::try_from(layer).ok().and_then(|layer| 1u8.checked_shl(layer)).unwrap_or(0)
}

impl Hub {
    /// A client of this node publishes a track, or its layers have changed.
    pub(super) fn published(&mut self, room: &RoomId, told: LocalTrack, out: &mut impl Exits) {
        let Some(index) = self.by_room.get(room).copied() else { return };
        let known = self.rooms.get(index).and_then(|room| room.tracks.get(&told.track)).copied();
        let mut least = 0;
        if let Some(handle) = known
            && let Some(track) = self.tracks.get_mut(&handle)
        {
            if track.local && track.given == told.publication {
                return self.tell_layers(handle, told.layers, out);
            }
            // Whatever other nodes say: the client is here.
            least = track.publication.saturating_add(1);
            self.drop_track(handle, out);
        }
        let given = told.publication;
        let told = LocalTrack { publication: given.max(least), ..told };
        let handle = self.insert(index, told, true, None);
        if let Some(track) = handle.and_then(|handle| self.tracks.get_mut(&handle)) {
            track.given = given;
        }
        if let Some(handle) = handle {
            self.refresh(handle, out);
        }
    }

    /// A local track is over.
    pub(super) fn unpublished(&mut self, now: Instant, room: &RoomId, track: &TrackId, out: &mut impl Exits) {
        let handle = self.handle(room, track);
        if let Some(handle) = handle.filter(|handle| self.tracks.get(handle).is_some_and(|track| track.local)) {
            self.end_track(now, handle, out);
        }
    }

    /// Ends a track; another publication of its name comes to light, if there is one.
    fn end_track(&mut self, now: Instant, handle: Handle, out: &mut impl Exits) {
        let Some((index, id)) = self.tracks.get(&handle).map(|track| (track.room, track.id.clone())) else { return };
        self.drop_track(handle, out);
        let offers = self.rooms.get_mut(index).and_then(|room| room.shadowed.remove(&id)).unwrap_or_default();
        offers.into_iter().for_each(|(key, offer)| self.announced(now, key, offer, out));
    }

    pub(super) fn handle(&self, room: &RoomId, track: &TrackId) -> Option<Handle> {
        self.by_room.get(room).and_then(|index| self.rooms.get(*index))?.tracks.get(track).copied()
    }

    fn insert(&mut self, index: usize, told: LocalTrack, local: bool, way: Option<Way>) -> Option<Handle> {
        let room = self.rooms.get_mut(index)?;
        if room.tracks.len() >= limits::MAX_TRACKS {
            tracing::warn!(room = %room.id, track = %told.track, "a track is beyond the limit");
            return None;
        }
        self.handles += 1;
        let handle = Handle(self.handles);
        room.tracks.insert(told.track.clone(), handle);
        let layers = told.layers.iter().map(|_| Layer::default()).collect();
        let track = Track {
            room: index,
            id: told.track,
            publication: told.publication,
            given: told.publication,
            participant: told.participant,
            source: told.source,
            kind: told.kind,
            infos: told.layers,
            local,
            ways: way.into_iter().collect(),
            layers,
            interest: 0,
            tapped: 0,
            told: BTreeMap::new(),
            orphaned: None,
        };
        self.tracks.insert(handle, track);
        Some(handle)
    }

    /// A neighbour offers a track.
    pub(super) fn announced(&mut self, now: Instant, key: PeerKey, told: Announce, out: &mut impl Exits) {
        let Some(index) = self.by_room.get(&told.room).copied() else { return };
        let Some(room) = self.rooms.get(index) else { return };
        let neighbour = self.peers.get(key.0).map(|peer| peer.node);
        if !room.edges.get(&key).is_some_and(|edge| edge.exchanges()) {
            return;
        }
        // By way of this node itself, or not by way of the one who says so: no way.
        let sound = !told.path.contains(&self.me) && told.path.last() == neighbour.as_ref();
        let known = room.tracks.get(&told.track).copied();
        let same =
            known.and_then(|handle| self.tracks.get(&handle)).map(|track| track.publication.cmp(&told.publication));
        if !sound {
            return self.withdrawn(now, key, &told.room, &told.track, false, out);
        }
        let local = known.and_then(|handle| self.tracks.get(&handle)).is_some_and(|track| track.local);
        if local || same == Some(std::cmp::Ordering::Greater) {
            self.withdrawn(now, key, &told.room, &told.track, false, out);
            if let Some(room) = self.rooms.get_mut(index) {
                room.shadow(key, told);
            }
            return;
        }
        if let Some(room) = self.rooms.get_mut(index) {
            room.unshadow(key, &told.track);
        }
        self.order += 1;
        let mut way = Way { from: key, path: told.path, going: told.going, leaving: false, order: self.order };
        if let (Some(handle), Some(std::cmp::Ordering::Equal)) = (known, same) {
            let Some(track) = self.tracks.get_mut(&handle) else { return };
            if track.layers.len() != told.layers.len() || track.kind != told.kind {
                return;
            }
            if let Some(old) = track.ways.iter().position(|way| way.from == key) {
                // The same way told anew isn't newer.
                way.order = track.ways.swap_remove(old).order;
            }
            track.ways.push(way);
            track.orphaned = None;
            if track.best().is_some_and(|best| best.from == key) {
                self.tell_layers(handle, told.layers, out);
            }
            return self.refresh(handle, out);
        }
        if let Some(handle) = known {
            // Published anew, maybe on another node.
            self.drop_track(handle, out);
        }
        let shown = LocalTrack {
            track: told.track,
            participant: told.participant,
            source: told.source,
            kind: told.kind,
            layers: told.layers,
            publication: told.publication,
        };
        if let Some(handle) = self.insert(index, shown.clone(), false, Some(way)) {
            let layers = self.tracks.get(&handle).map(|track| track.shown(&self.peers)).unwrap_or_default();
            out.room(ToRoom::Track(told.room, handle, LocalTrack { layers, ..shown }));
            self.refresh(handle, out);
        }
    }

    /// A neighbour doesn't offer a track any more: it is over, or not to be had from there. In the second case, what still flows
    /// from there flows on until another way serves.
    pub(super) fn withdrawn(
        &mut self,
        now: Instant,
        key: PeerKey,
        room: &RoomId,
        track: &TrackId,
        over: bool,
        out: &mut impl Exits,
    ) {
        if let Some(room) = self.by_room.get(room).and_then(|index| self.rooms.get_mut(*index)) {
            room.unshadow(key, track);
        }
        let Some(handle) = self.handle(room, track) else { return };
        let Some(track) = self.tracks.get_mut(&handle) else { return };
        let before = track.ways.len();
        track.ways.retain(|way| way.from != key);
        if track.ways.len() == before {
            return;
        }
        if track.ways.is_empty() {
            if over {
                return self.end_track(now, handle, out);
            }
            track.orphaned = Some(now);
        }
        self.refresh(handle, out);
    }

    /// The publisher's layers have changed, as a neighbour tells.
    pub(super) fn layers_changed(
        &mut self,
        key: PeerKey,
        room: &RoomId,
        track: &TrackId,
        layers: Vec<LayerInfo>,
        out: &mut impl Exits,
    ) {
        let Some(handle) = self.handle(room, track) else { return };
        if self.tracks.get(&handle).and_then(Track::best).is_some_and(|best| best.from == key) {
            self.tell_layers(handle, layers, out);
        }
    }

    fn tell_layers(&mut self, handle: Handle, layers: Vec<LayerInfo>, out: &mut impl Exits) {
        let Some(track) = self.tracks.get_mut(&handle) else { return };
        if track.infos == layers || track.infos.len() != layers.len() {
            return;
        }
        track.infos = layers;
        self.show(handle, out);
    }

    /// Tells the rooms and neighbours of all tracks that come over a pipe what there is of them now.
    pub(super) fn show_tracks_by(&mut self, key: PeerKey, out: &mut impl Exits) {
        let by = |track: &Track| track.best().is_some_and(|best| best.from == key);
        let handles: Vec<Handle> =
            self.tracks.iter().filter(|(_, track)| by(track)).map(|(handle, _)| *handle).collect();
        handles.into_iter().for_each(|handle| self.show(handle, out));
    }

    fn show(&mut self, handle: Handle, out: &mut impl Exits) {
        let Some(track) = self.tracks.get(&handle) else { return };
        let Some(room) = self.rooms.get(track.room).map(|room| room.id.clone()) else { return };
        let layers = track.shown(&self.peers);
        if !track.local {
            out.room(ToRoom::Layers(room.clone(), handle, layers.clone()));
        }
        let peers: Vec<PeerKey> = track.told.keys().copied().collect();
        let message = Control::Layers(room, track.id.clone(), layers);
        peers.into_iter().for_each(|peer| self.tell(peer, &message, out));
    }

    /// Ends a track here and for all who were told of it.
    pub(super) fn drop_track(&mut self, handle: Handle, out: &mut impl Exits) {
        let Some(mut track) = self.tracks.remove(&handle) else { return };
        let room = self.rooms.get_mut(track.room).map(|room| {
            if room.tracks.get(&track.id) == Some(&handle) {
                room.tracks.remove(&track.id);
            }
            room.id.clone()
        });
        let Some(room) = room else { return };
        for layer in &mut track.layers {
            for (peer, stream) in layer.outs.drain(..) {
                self.served.remove(&(peer, stream));
                if let Some(pipe) = self.peers.get_mut(peer.0).and_then(Peer::pipe) {
                    pipe.close_outgoing(stream);
                }
            }
            for feed in layer.feed.take().into_iter().chain(layer.next.take()) {
                if let Some(pipe) = self.peers.get_mut(feed.peer.0).and_then(Peer::pipe) {
                    pipe.close_incoming(feed.stream);
                }
                self.tell(feed.peer, &Control::Unsubscribe(feed.stream), out);
            }
        }
        let message = Control::Withdraw(room.clone(), track.id.clone(), true);
        let told: Vec<PeerKey> = track.told.keys().copied().collect();
        told.into_iter().for_each(|peer| self.tell(peer, &message, out));
        if track.local {
            out.room(ToRoom::Tap(room, track.id, handle, 0));
        } else {
            out.room(ToRoom::Withdraw(room, handle));
        }
    }

    /// Forgets what came and went over an edge.
    pub(super) fn forget_edge(&mut self, now: Instant, index: usize, key: PeerKey, out: &mut impl Exits) {
        let Some(room) = self.rooms.get_mut(index) else { return };
        if room.edges.remove(&key).is_none() {
            return;
        }
        room.shadowed.retain(|_, offers| {
            offers.retain(|(from, _)| *from != key);
            !offers.is_empty()
        });
        let handles: Vec<Handle> = room.tracks.values().copied().collect();
        for handle in handles {
            let Some(track) = self.tracks.get_mut(&handle) else { continue };
            let mut pipe = self.peers.get_mut(key.0).and_then(Peer::pipe);
            track.told.remove(&key);
            track.ways.retain(|way| way.from != key);
            for layer in &mut track.layers {
                for (_, stream) in layer.outs.extract_if(.., |(peer, _)| *peer == key) {
                    self.served.remove(&(key, stream));
                    pipe.iter_mut().for_each(|pipe| pipe.close_outgoing(stream));
                }
                for feed in [&mut layer.feed, &mut layer.next] {
                    if let Some(old) = feed.take_if(|feed| feed.peer == key) {
                        pipe.iter_mut().for_each(|pipe| pipe.close_incoming(old.stream));
                    }
                }
                if layer.feed.is_none() {
                    layer.feed = layer.next.take();
                }
            }
            if track.ways.is_empty() && !track.local {
                track.orphaned.get_or_insert(now);
            }
            self.refresh(handle, out);
        }
    }

    pub(super) fn tick_tracks(&mut self, now: Instant, out: &mut impl Exits) {
        let mut over = Vec::new();
        let mut asks = Vec::new();
        for (handle, track) in &mut self.tracks {
            if track.orphaned.is_some_and(|since| now.saturating_duration_since(since) >= limits::ORPHAN) {
                over.push(*handle);
            }
            for (index, layer) in track.layers.iter_mut().enumerate() {
                if layer.gate.due(now, false) {
                    asks.push((*handle, index));
                }
            }
        }
        over.into_iter().for_each(|handle| self.end_track(now, handle, out));
        asks.into_iter().for_each(|(handle, layer)| self.ask_keyframe(handle, layer, out));
    }
}
