//! What publishers need to encode.

use super::*;

impl Router {
    /// Tells publishers whose videos are wanted in more layers than before. To be called where that may have come about.
    pub(super) fn tell_demand(&mut self, now: Instant, out: &mut impl Outbox) {
        for key in std::mem::take(&mut self.demanded) {
            self.follow_demand(now, key, out);
        }
    }

    /// Looks after all videos: what was wanted less of for a while is told then.
    pub(super) fn tell_all_demand(&mut self, now: Instant, out: &mut impl Outbox) {
        self.demanded.clear();
        self.demanded.extend(self.tracks.iter().map(|(key, _)| TrackKey(key)));
        self.tell_demand(now, out);
    }

    fn follow_demand(&mut self, now: Instant, key: TrackKey, out: &mut impl Outbox) {
        let Self { tracks, sessions, rooms, .. } = self;
        let Some(track) = tracks.get_mut(key.0).filter(|track| track.is_in_demand()) else {
            return;
        };
        let heights = track.receivers.iter().filter_map(|(receiver, line)| {
            let down = sessions.get(receiver.0)?.down.get(*line)?;
            Some(down.wanted.as_ref().map_or(0, |wish| wish.max_height))
        });
        let wanted = heights.map(|height| layers_for(&track.layers, height)).max().unwrap_or(0);
        // Other nodes choose among the layers that come: one that was switched off because nobody has it would never be asked for again.
        let wanted = if track.told { track.layers.len() } else { wanted };
        let Some(told) = track.demand.update(now, wanted) else { return };
        let Some(owner) = sessions.get(track.owner.0) else { return };
        let Some(room) = rooms.get(owner.room) else { return };
        let occurrence = Occurrence::LayersWanted {
            track: track.id.clone(),
            layers: track.layers.iter().take(told).filter_map(|layer| layer.rid).collect(),
            paused: told == 0,
        };
        out.event(Event { room: room.id.clone(), session: Some(owner.id), occurrence });
    }
}

/// How many layers, from the lowest up, serve a receiver that can use pictures of this height. The lower ones serve it when its line gets
/// narrow.
fn layers_for(layers: &[Layer], height: u32) -> usize {
    let count = u8::try_from(layers.len()).unwrap_or(u8::MAX);
    let enough = layers.iter().zip(0..count).position(|(layer, size)| {
        layer::is_enough(layer.stream.height().unwrap_or_else(|| layer::usual_height(size, count)), height)
    });
    enough.map_or(layers.len(), |index| index + 1)
}
