//! Who has what of a track, and what is asked for and offered because of that.

use super::{tracks::bit, *};
use crate::cascade::{control::Announce, pipe::Target};

impl Hub {
    /// A neighbour wants a layer.
    pub(super) fn subscribed(
        &mut self,
        key: PeerKey,
        room: &RoomId,
        track: &TrackId,
        layer: u8,
        stream: StreamId,
        out: &mut impl Exits,
    ) {
        let joined = self
            .by_room
            .get(room)
            .and_then(|index| self.rooms.get(*index))
            .is_some_and(|room| room.edges.get(&key).is_some_and(|edge| edge.exchanges()));
        let Some(handle) = self.handle(room, track).filter(|_| joined) else { return };
        let Some(state) = self.tracks.get_mut(&handle).and_then(|track| track.layers.get_mut(usize::from(layer)))
        else {
            return;
        };
        let Some(pipe) = self.peers.get_mut(key.0).and_then(Peer::pipe) else { return };
        // A layer crosses a pipe once: a second wish takes the first one's place.
        if let Some(place) = state.outs.iter().position(|(peer, _)| *peer == key) {
            let (_, old) = state.outs.swap_remove(place);
            pipe.close_outgoing(old);
            self.served.remove(&(key, old));
        }
        if pipe.open_outgoing(stream) {
            state.outs.push((key, stream));
            self.served.insert((key, stream), (handle, layer));
            self.refresh(handle, out);
        }
    }

    /// A neighbour doesn't want a layer any more.
    pub(super) fn unsubscribed(&mut self, key: PeerKey, stream: StreamId, out: &mut impl Exits) {
        let Some((handle, layer)) = self.served.remove(&(key, stream)) else { return };
        if let Some(pipe) = self.peers.get_mut(key.0).and_then(Peer::pipe) {
            pipe.close_outgoing(stream);
        }
        if let Some(state) = self.tracks.get_mut(&handle).and_then(|track| track.layers.get_mut(usize::from(layer))) {
            state.outs.retain(|place| *place != (key, stream));
        }
        self.refresh(handle, out);
    }

    /// Makes a track's subscriptions and offers what they should be by its ways and by who wants it.
    pub(super) fn refresh(&mut self, handle: Handle, out: &mut impl Exits) {
        let Self { tracks, peers, rooms, me, .. } = self;
        let Some(track) = tracks.get_mut(&handle) else { return };
        let Some(room) = rooms.get(track.room) else { return };
        let mut messages: Vec<(PeerKey, Control)> = Vec::new();
        for way in &mut track.ways {
            way.leaving = matches!(room.edges.get(&way.from), Some(Edge::Going(_)));
        }
        let best = track.best().map(|way| (way.from, way.path.clone(), way.going || way.leaving));
        if track.local {
            let tap =
                (0..track.layers.len()).filter(|layer| track.wanted(*layer)).fold(0, |set, layer| set | bit(layer));
            if std::mem::replace(&mut track.tapped, tap) != tap {
                out.room(ToRoom::Tap(room.id.clone(), track.id.clone(), handle, tap));
            }
        }
        for index in 0..track.layers.len() {
            let wanted = !track.local && track.wanted(index);
            let Some(layer) = track.layers.get_mut(index) else { continue };
            let mut drop = Vec::new();
            if !wanted {
                drop.extend(layer.feed.take().into_iter().chain(layer.next.take()));
            } else if let Some((from, ..)) = best {
                let mut subscribe = |again: bool| -> Option<Feed> {
                    let place = u8::try_from(index).ok()?;
                    let pipe = peers.get_mut(from.0)?.pipe()?;
                    let stream = pipe.open_incoming(Target { track: handle, layer: place })?;
                    messages.push((from, Control::Subscribe(room.id.clone(), track.id.clone(), place, stream)));
                    if again {
                        messages.push((from, Control::Keyframe(stream)));
                    }
                    Some(Feed { peer: from, stream, span: None })
                };
                match layer.feed {
                    // What was forwarded before has a gap now: only a key frame heals it. Or one was asked for already.
                    None => {
                        let needed = layer.window.highest().is_some() || layer.gate.is_open();
                        layer.feed = subscribe(track.kind == Kind::Video && needed);
                    }
                    Some(feed) if feed.peer == from => drop.extend(layer.next.take()),
                    Some(_) if layer.next.is_some_and(|next| next.peer == from) => {}
                    Some(_) => {
                        drop.extend(layer.next.take());
                        layer.next = subscribe(false);
                    }
                }
            }
            for feed in drop {
                if let Some(pipe) = peers.get_mut(feed.peer.0).and_then(Peer::pipe) {
                    pipe.close_incoming(feed.stream);
                    messages.push((feed.peer, Control::Unsubscribe(feed.stream)));
                }
            }
        }
        // Offers.
        let path = match (&best, track.local) {
            (_, true) => Some((vec![*me], false)),
            (Some((_, path, going)), false) => Some(([path.as_slice(), &[*me]].concat(), *going)),
            // Without a way: whoever was told keeps waiting with this node.
            (None, false) => None,
        };
        if let Some((path, going)) = path {
            for (peer, edge) in room.edges.iter().filter(|(_, edge)| edge.exchanges()) {
                let node = peers.get(peer.0).map(|peer| peer.node);
                let back = best.as_ref().is_some_and(|(from, ..)| from == peer && !track.local);
                if back || path.len() > limits::MAX_HOPS || node.is_none_or(|node| path.contains(&node)) {
                    if track.told.remove(peer).is_some() {
                        messages.push((*peer, Control::Withdraw(room.id.clone(), track.id.clone(), false)));
                    }
                    continue;
                }
                let offer = (path.clone(), going || matches!(edge, Edge::Going(_)));
                if track.told.get(peer) == Some(&offer) {
                    continue;
                }
                track.told.insert(*peer, offer.clone());
                let announce = Announce {
                    room: room.id.clone(),
                    track: track.id.clone(),
                    publication: track.publication,
                    participant: track.participant.clone(),
                    source: track.source.clone(),
                    kind: track.kind,
                    layers: track.shown(peers),
                    path: offer.0,
                    going: offer.1,
                };
                messages.push((*peer, Control::Announce(announce)));
            }
        }
        for (peer, message) in messages {
            self.tell(peer, &message, out);
        }
    }

    pub(super) fn refresh_room(&mut self, index: usize, out: &mut impl Exits) {
        let Some(room) = self.rooms.get(index) else { return };
        let handles: Vec<Handle> = room.tracks.values().copied().collect();
        handles.into_iter().for_each(|handle| self.refresh(handle, out));
    }
}
