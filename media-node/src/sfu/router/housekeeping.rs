//! What time brings.

use super::*;

impl Router {
    /// Lets time pass; to be called each [`TICK`]. Returns sessions that must be closed, with the reason.
    pub fn tick(&mut self, now: Instant, out: &mut impl Outbox) -> Vec<(SessionKey, CloseReason)> {
        let mut over = Vec::new();
        let all = self.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= CHOICE_INTERVAL);
        if all {
            self.looked = Some(now);
        }
        self.ticks = self.ticks.wrapping_add(1);
        let part = self.ticks % CHOICE_TICKS;
        let tell = self.limited.is_none_or(|limited| now.saturating_duration_since(limited) >= LIMIT_INTERVAL);
        if tell {
            self.limited = Some(now);
        }
        let keys: Vec<SessionKey> = self.sessions.iter().map(|(key, _)| SessionKey(key)).collect();
        for key in keys {
            let Some(session) = self.sessions.get(key.0) else { continue };
            if session.connected.is_none() && now.saturating_duration_since(session.opened) >= limits::CONNECT_TIMEOUT {
                over.push((key, CloseReason::ConnectTimeout));
                continue;
            }
            if session.is_gone(now) {
                over.push((key, CloseReason::ConnectionLost));
                continue;
            }
            if tell && session.uplink_told && session.connected.is_some() && !session.up.is_empty() {
                out.limit_uplink(key, session.uplink_kbps);
            }
            if !session.ready {
                if session.connected.is_some_and(|at| now.saturating_duration_since(at) >= READY_WAIT) {
                    self.ready(now, key, out);
                }
            } else if session.stale_choice
                || key.0 % CHOICE_TICKS == part
                // Ticks that come late leave nobody out.
                || now.saturating_duration_since(session.chosen) >= CHOICE_INTERVAL * 2
            {
                self.choose(now, key, out);
            }
        }
        if all {
            self.tell_all_demand(now, out);
            let Self { sessions, rooms, .. } = self;
            sessions.iter_mut().for_each(|(_, session)| choosing::tell_paused(rooms, session, out));
        }
        // Requests that fell into a gate's interval and are still open.
        for (_, track) in &mut self.tracks {
            for index in 0..track.layers.len() {
                if track.layers.get_mut(index).is_some_and(|layer| layer.gate.due(now, self.strained)) {
                    track.ask(index, out);
                }
            }
        }
        let Self { rooms, tracks, sessions, .. } = self;
        for (_, room) in rooms {
            if !room.speakers.due(now) {
                continue;
            }
            let mut speaking: Vec<(ParticipantId, f32)> = Vec::new();
            for track in room.tracks.values().filter_map(|track| tracks.get(track.0)) {
                if track.kind != Kind::Audio || track.source == "screen-audio" {
                    continue;
                }
                let (Some(loudness), Some(session)) = (track.level.speaking(now), sessions.get(track.owner.0)) else {
                    continue;
                };
                match speaking.iter_mut().find(|(who, _)| *who == session.participant) {
                    Some((_, known)) => *known = known.max(loudness),
                    None => speaking.push((session.participant.clone(), loudness)),
                }
            }
            if let Some(list) = room.speakers.update(now, speaking) {
                out.event(Event { room: room.id.clone(), session: None, occurrence: Occurrence::Speakers(list) });
            }
        }
        over
    }
}
