//! Which layer each client gets.

use super::*;

impl Router {
    /// Capacity towards a client.
    pub fn estimate(&mut self, now: Instant, key: SessionKey, reading: Reading, out: &mut impl Outbox) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        let before = session.headroom.estimate().unwrap_or(0);
        session.stale_choice |= reading.kbps.abs_diff(before) > before / 20;
        // What comes until the next tick would lengthen a queue that is too long already.
        if session.headroom.on_reading(now, reading) && session.ready {
            self.choose(now, key, out);
        }
    }

    /// Receivers may have so much of the video that they want, in percent, and of the voices what goes with it.
    pub fn relieve(&mut self, percent: u8) {
        self.share = percent;
        self.rooms.iter_mut().for_each(|(_, room)| room.audible.resize(pressure::audible(percent)));
        for (_, session) in &mut self.sessions {
            session.stale_choice = true;
        }
    }

    /// Whether the thread was at its end in the last second: what became of layers is held against receivers' lines no longer than it has to be, and
    /// key frames are for those who have no picture.
    pub fn strain(&mut self, strained: bool) {
        self.strained = strained;
        if strained {
            self.sessions.iter_mut().for_each(|(_, session)| session.headroom.excuse());
        }
    }

    /// How the path to a client does, and the one from it.
    pub fn path(&mut self, now: Instant, key: SessionKey, path: PathReport) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        if path.expected != session.path.expected {
            session.heard = now;
        }
        session.path = path;
        session.history.push_back(path);
        if session.history.len() > LOSS_SECONDS {
            session.history.pop_front();
        }
    }

    /// Chooses the layers of one client's videos.
    pub(super) fn choose(&mut self, now: Instant, key: SessionKey, out: &mut impl Outbox) {
        let Self { sessions, tracks, rooms, share, .. } = self;
        let share = *share;
        let Some(session) = sessions.get(key.0) else { return };
        let dominant = rooms.get(session.room).and_then(|room| room.speakers.dominant());
        let mut lines: Vec<(usize, Vec<Rung>)> = Vec::new();
        let mut wants = Vec::new();
        let mut audio_kbps = 0;
        for (index, down) in &session.down {
            let Some(track) = down.track.and_then(|track| tracks.get_mut(track.0)) else { continue };
            if track.kind == Kind::Audio {
                // What is muted, or not among the voices that are heard, takes nothing.
                if let Some(layer) = track.layers.first_mut().filter(|layer| track.heard && layer.stream.alive(now)) {
                    audio_kbps += layer.stream.kbps(now).max(AUDIO_KBPS);
                }
                continue;
            }
            let prominence = if track.source == "screen" {
                layer::Prominence::Screen
            } else if dominant.is_some() && dominant == sessions.get(track.owner.0).map(|owner| &owner.participant) {
                layer::Prominence::Speaker
            } else {
                layer::Prominence::Plain
            };
            let rungs = rungs(now, track);
            wants.push(layer::Want {
                layers: rungs.iter().map(|rung| rung.offered).collect(),
                max_height: down.wanted.as_ref().map_or(0, |wish| wish.max_height),
                current: down.current.and_then(|current| position(track, &rungs, current, &down.selector)),
                paused: down.paused,
                priority: down.wanted.as_ref().map_or_else(Priority::default, |wish| wish.priority),
                prominence,
            });
            lines.push((index, rungs));
        }
        let Some(session) = sessions.get_mut(key.0) else { return };
        session.stale_choice = false;
        session.chosen = now;
        let line = session.headroom.line(now, audio_kbps);
        let choice = layer::choose(&wants, layer::Budget { line, share });
        // What the node has no time for says nothing of the line.
        let change = if share < 100 { Change::default() } else { choice.change };
        session.headroom.on_choice(now, change, choice.flowed_kbps.saturating_add(audio_kbps));
        tracing::trace!(session = %session.id, ?line, ?choice, "layers chosen");
        let desired = session.headroom.sought_kbps(choice.desired_kbps).saturating_add(audio_kbps);
        if desired.abs_diff(session.desired) > session.desired / 10 {
            session.desired = desired;
            out.want_bitrate(key, desired);
        }
        let mut ask = Vec::new();
        for ((index, rungs), given) in lines.into_iter().zip(choice.given) {
            let Some(down) = session.down.get_mut(index) else { continue };
            let chosen = match given {
                layer::Given::Layer(chosen) => chosen,
                layer::Given::Paused => {
                    down.stop();
                    down.paused = true;
                    continue;
                }
                layer::Given::Absent => continue,
            };
            down.paused = false;
            let Some(track_key) = down.track else { continue };
            let (Some(track), Some(rung)) = (tracks.get(track_key.0), rungs.get(chosen)) else { continue };
            down.target = Some(rung.layer);
            down.quality = wanted(&rungs, chosen, down);
            let Some(stream) = track.layers.get(rung.layer).map(|layer| &layer.stream) else { continue };
            match down.current {
                Some(current) if current == rung.layer => {
                    down.selector.want(down.quality);
                    if down.selector.needs_keyframe(stream) {
                        ask.push((track_key, rung.layer));
                    }
                }
                current => {
                    if let Some(current) = current.filter(|current| rung.layer < *current) {
                        if floods(&rungs, current, choice.ceiling_kbps) {
                            // What it would still send is what the smaller layer's key frame had to wait behind, or be lost.
                            down.current = None;
                            down.flooded = Some(now);
                        } else {
                            // Until the smaller layer's key frame comes, the present one can give up frame rate at once.
                            down.selector.want(Target { temporal: 0, ..down.selector.wanted() });
                        }
                    }
                    if down.flooded.is_some_and(|at| now.saturating_duration_since(at) < GIVE_WAY) {
                        session.stale_choice = true;
                    } else {
                        ask.push((track_key, rung.layer));
                    }
                }
            }
        }
        for (track, layer) in ask {
            self.request_keyframe(now, (track, layer), Need::Picture, out);
        }
    }
}

/// Tells a client which of its videos are paused, if that has changed.
pub(super) fn tell_paused(rooms: &Slab<Room>, session: &mut Session, out: &mut impl Outbox) {
    let paused = || session.down.iter().filter(|(_, down)| down.paused).filter_map(|(_, down)| down.wanted.as_ref());
    if paused().map(|wish| &wish.track).eq(&session.told_paused) {
        return;
    }
    let paused: Vec<TrackId> = paused().map(|wish| wish.track.clone()).collect();
    session.told_paused.clone_from(&paused);
    if let Some(room) = rooms.get(session.room) {
        let occurrence = Occurrence::VideosPaused(paused);
        out.event(Event { room: room.id.clone(), session: Some(session.id), occurrence });
    }
}

/// Whether a layer alone, at the least frame rate that it may have, takes half as much again as there is: it is stopped at once, before the smaller
/// one begins. With less than that too much, its pictures are better than none.
fn floods(rungs: &[Rung], layer: usize, budget_kbps: Option<u32>) -> bool {
    let least = rungs.iter().find(|rung| rung.layer == layer).map_or(0, |rung| rung.offered.kbps);
    budget_kbps.is_some_and(|budget| u64::from(least) * 2 > u64::from(budget) * 3)
}

/// One quality of a track: a layer of simulcast, and layers inside of it.
struct Rung {
    layer: usize,
    target: Target,
    offered: layer::Offered,
}

/// The qualities of a track, lowest first.
fn rungs(now: Instant, track: &mut Track) -> Vec<Rung> {
    let mut rungs: Vec<Rung> = Vec::new();
    let mut size = 0;
    for (index, layer) in track.layers.iter_mut().enumerate() {
        let qualities = layer.qualities(now);
        let rates = qualities.iter().map(|quality| quality.target.temporal).max().unwrap_or(0);
        for quality in qualities {
            if let Some(last) = rungs.last()
                && (last.layer, last.target.spatial) != (index, quality.target.spatial)
            {
                size += 1;
            }
            // A quarter of the frame rate is worse than a smaller picture, unless it shows a text.
            let jerky = quality.target.temporal == 0 && rates >= 2 && size > 0 && track.source != "screen";
            if !jerky {
                let Quality { kbps, height, alive, .. } = quality;
                let offered = layer::Offered { kbps, height, size, alive };
                rungs.push(Rung { layer: index, target: quality.target, offered });
            }
        }
    }
    rungs
}

/// Which of the rungs is forwarded now.
fn position(track: &Track, rungs: &[Rung], current: usize, selector: &Selector) -> Option<usize> {
    let layout = track.layers.get(current)?.stream.layout();
    let target = layout.get(layout.best(selector.current()));
    rungs.iter().rposition(|rung| rung.layer == current && rung.target <= target)
}

/// What the selector shall want for a chosen rung.
fn wanted(rungs: &[Rung], chosen: usize, down: &Down) -> Target {
    let Some(rung) = rungs.get(chosen) else { return Target::ALL };
    let mut above = rungs.iter().skip(chosen + 1).filter(|other| other.layer == rung.layer).peekable();
    if above.peek().is_none() {
        // What is added to the stream belongs to it, until it is chosen anew.
        return Target::ALL;
    }
    let present = down.selector.current();
    if down.current == Some(rung.layer)
        && present.spatial > rung.target.spatial
        && !above.any(|other| other.offered.alive)
    {
        // Taller pictures stopped coming: to go on being ready for them costs nothing, and to be let in again a key frame.
        return Target { spatial: present.spatial, ..rung.target };
    }
    rung.target
}
