//! Data messages.

use super::*;

impl Router {
    /// A client's data channel is open.
    pub fn channel_open(&mut self, now: Instant, key: SessionKey, channel: Channel, out: &mut impl Outbox) {
        if let Some(session) = self.sessions.get_mut(key.0) {
            session.channels.open(channel);
        }
        self.ready(now, key, out);
    }

    /// A client's data channel takes data again.
    pub fn channel_ready(&mut self, key: SessionKey, channel: Channel, out: &mut impl Outbox) {
        if let (Channel::Reliable, Some(session)) = (channel, self.sessions.get_mut(key.0)) {
            session.backlog.drain(|message| out.send(key, Channel::Reliable, message));
        }
    }

    /// A data message from a client: it goes to everyone else in the room, with the sender's id before it. Returns those that can't
    /// keep up.
    pub fn message(
        &mut self,
        now: Instant,
        from: SessionKey,
        channel: Channel,
        data: &[u8],
        out: &mut impl Outbox,
    ) -> Vec<SessionKey> {
        let Some(sender) = self.sessions.get_mut(from.0) else { return Vec::new() };
        let bytes = u32::try_from(data.len()).unwrap_or(u32::MAX);
        if !sender.publish
            || data.len() > limits::MAX_MESSAGE
            || !sender.messages.take(now, 1)
            || !sender.message_bytes.take(now, bytes)
        {
            tracing::debug!(session = %sender.id, bytes, "data message dropped: no right, too large or too many");
            return Vec::new();
        }
        let (room, participant) = (sender.room, sender.participant.clone());
        if let Some(told) = self.bridged_message(room, &participant, channel, data) {
            out.cascade(told);
        }
        self.deliver(room, Some(from), &participant, channel, data, out)
    }

    /// Gives a message to everyone in the room who isn't its sender.
    pub(super) fn deliver(
        &mut self,
        room: usize,
        from: Option<SessionKey>,
        participant: &ParticipantId,
        channel: Channel,
        data: &[u8],
        out: &mut impl Outbox,
    ) -> Vec<SessionKey> {
        let name = participant.as_str().as_bytes();
        let mut framed = Vec::with_capacity(1 + name.len() + data.len());
        framed.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        framed.extend_from_slice(name);
        framed.extend_from_slice(data);
        let framed: Arc<[u8]> = framed.into();
        let Some(room) = self.rooms.get(room) else { return Vec::new() };
        let mut slow = Vec::new();
        for to in room.sessions.iter().filter(|to| Some(**to) != from) {
            let Some(session) = self.sessions.get_mut(to.0) else { continue };
            let listens = session.subscribe && session.channels.has(channel);
            match channel {
                _ if !listens => {}
                Channel::Lossy => drop(out.send(*to, channel, &framed)),
                Channel::Reliable => {
                    let taken = session.backlog.offer(&framed, |message| out.send(*to, channel, message));
                    if taken.is_err() {
                        slow.push(*to);
                    }
                }
            }
        }
        slow
    }
}
