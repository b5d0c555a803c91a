//! Which layer each client gets.

use super::*;

impl Router {
    /// Capacity towards a client.
    pub fn estimate(&mut self, key: SessionKey, kbps: u32) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        let before = session.estimate.unwrap_or(0);
        session.stale_choice |= kbps.abs_diff(before) > before / 20;
        session.estimate = Some(kbps);
    }

    /// A client's receiver reports.
    pub fn path(&mut self, key: SessionKey, path: PathReport) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        session.path = path;
        session.history.push_back((path.expected, path.lost));
        if session.history.len() > LOSS_SECONDS {
            session.history.pop_front();
        }
    }

    /// Chooses the layers of one client's videos.
    pub(super) fn choose(&mut self, now: Instant, key: SessionKey, out: &mut impl Outbox) {
        let Self { sessions, tracks, .. } = self;
        let Some(session) = sessions.get_mut(key.0) else { return };
        session.stale_choice = false;
        let mut lines = Vec::new();
        let mut wants = Vec::new();
        let mut audio = 0;
        for (index, down) in &session.down {
            let Some(track) = down.track.and_then(|track| tracks.get_mut(track.0)) else { continue };
            if track.kind == Kind::Audio {
                audio += 1;
                continue;
            }
            let layers = track.layers.iter_mut().map(|layer| layer.offered(now)).collect();
            lines.push(index);
            wants.push(layer::Want {
                layers,
                max_height: down.wanted.as_ref().map_or(0, |(_, height)| *height),
                current: down.current,
            });
        }
        let budget = session.estimate.map(|estimate| estimate.saturating_sub(audio * AUDIO_KBPS));
        let choice = layer::choose(&wants, budget);
        let desired = choice.desired_kbps + audio * AUDIO_KBPS;
        if desired.abs_diff(session.desired) > session.desired / 10 {
            session.desired = desired;
            out.want_bitrate(key, desired);
        }
        let mut ask = Vec::new();
        for (index, target) in lines.into_iter().zip(choice.layers) {
            let (Some(down), Some(target)) = (session.down.get_mut(index), target) else { continue };
            down.target = Some(target);
            if down.current != Some(target)
                && let Some(track) = down.track
            {
                ask.push((track, target));
            }
        }
        for (track, layer) in ask {
            self.request_keyframe(now, track, layer, out);
        }
    }
}
