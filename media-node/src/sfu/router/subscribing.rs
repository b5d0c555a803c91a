//! What clients want, and how it is joined to what there is.

use super::*;

impl Router {
    /// Changes what goes to a client's receiving m-lines; those that aren't named stay as they are.
    pub fn subscribe(
        &mut self,
        now: Instant,
        key: SessionKey,
        subscribe: &[Subscribe],
        out: &mut impl Outbox,
    ) -> Result<(), RouteError> {
        let session = self.sessions.get(key.0).ok_or(RouteError::NoSession)?;
        check_subscriptions(session, &session.lines, subscribe)?;
        self.want(now, key, subscribe, out);
        Ok(())
    }

    pub(super) fn want(&mut self, now: Instant, key: SessionKey, subscribe: &[Subscribe], out: &mut impl Outbox) {
        for wish in subscribe {
            let random = self.next_random();
            let Some(session) = self.sessions.get_mut(key.0) else { return };
            session.stale_choice = true;
            let found = session.down.iter().find(|(_, down)| down.mid == wish.mid).map(|(index, _)| index);
            let index = match found {
                Some(index) => index,
                None => {
                    let Some(LineKind::Media(kind)) =
                        session.lines.iter().find(|line| line.mid == wish.mid).map(|line| line.kind)
                    else {
                        continue;
                    };
                    let clock_rate = if kind == Kind::Audio { 48_000 } else { 90_000 };
                    session.down.insert(Down {
                        mid: wish.mid,
                        kind,
                        wanted: None,
                        track: None,
                        current: None,
                        target: None,
                        paused: false,
                        flooded: None,
                        began: None,
                        quality: Target::ALL,
                        selector: Selector::default(),
                        rewriter: Rewriter::new(clock_rate, random),
                        numbering: Numbering::default(),
                        knows: None,
                        wire: None,
                        open: true,
                    })
                }
            };
            let Some(down) = session.down.get_mut(index) else { continue };
            down.open = true;
            let same = match (&down.wanted, &wish.track) {
                (Some(Wish { track, .. }), Some(wished)) => track == wished,
                (None, None) => true,
                _ => false,
            };
            down.wanted =
                wish.track.clone().map(|track| Wish { track, max_height: wish.max_height, priority: wish.priority });
            if !same {
                down.knows = None;
            }
            if !same || down.track.is_none() {
                self.unbind(key, index);
                self.bind(now, key, index, out);
            } else {
                self.demanded.extend(down.track);
            }
        }
        self.choose(now, key, out);
        self.tell_demand(now, out);
    }

    /// Joins a receiving m-line to the track that it wants, if that is there.
    pub(super) fn bind(&mut self, now: Instant, key: SessionKey, index: usize, out: &mut impl Outbox) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        let Some(room) = self.rooms.get(session.room) else { return };
        let Some(down) = session.down.get_mut(index) else { return };
        let wanted = down.wanted.as_ref();
        let meant = wanted.and_then(|wish| Self::meant(room, &session.participant, &wish.track, down.knows));
        let Some(track_key) = meant else { return };
        let Some(track) = self.tracks.get_mut(track_key.0) else { return };
        if track.kind != down.kind || !down.open {
            return;
        }
        track.receivers.push((key, index));
        down.track = Some(track_key);
        self.demanded.push(track_key);
        match track.kind {
            Kind::Audio => down.target = Some(0),
            Kind::Video => {
                // Until the choice is made: the lowest layer.
                down.target = (!track.layers.is_empty()).then_some(0);
                down.quality = Target::ALL;
                session.stale_choice = true;
            }
        }
        if let (Kind::Video, Some(layer)) = (track.kind, track.layers.first_mut())
            && layer.gate.request(now, Need::Picture, self.strained)
        {
            track.ask(0, out);
        }
    }

    pub(super) fn unbind(&mut self, key: SessionKey, index: usize) {
        let Some(down) = self.sessions.get_mut(key.0).and_then(|session| session.down.get_mut(index)) else { return };
        self.demanded.extend(down.track);
        if let Some(track) = down.track.take().and_then(|track| self.tracks.get_mut(track.0)) {
            track.receivers.retain(|receiver| *receiver != (key, index));
        }
        down.stop();
        down.wire = None;
    }
}

pub(super) fn check_subscriptions(
    session: &Session,
    lines: &[Line],
    subscribe: &[Subscribe],
) -> Result<(), RouteError> {
    if subscribe.iter().any(|wish| wish.track.is_some()) && !session.subscribe {
        return Err(RouteError::MayNotSubscribe);
    }
    for wish in subscribe.iter().filter(|wish| wish.track.is_some()) {
        let receives =
            |line: &Line| line.mid == wish.mid && line.client_receives && matches!(line.kind, LineKind::Media(_));
        if !lines.iter().any(receives) {
            return Err(RouteError::WrongLine(wish.mid, "receives"));
        }
    }
    Ok(())
}
