//! One client's transport on the node's side, as an egress drives controller and pacer.

use super::{
    super::{Config, Controller, Feedback, Pacer, Priority, Rate, Release, Resends},
    receiver::{Load, Message},
    source::{Pictures, Source},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A sound packet every 20 ms.
const AUDIO_MS: u64 = 20;
const AUDIO_BYTES: u16 = 100;
const AUDIO: Rate = Rate::kbps(40);
const PACKET: u64 = 1_150;
const HEADER: u16 = 40;
/// Packets that are kept for resends.
const KEPT: u64 = 2_000;

/// A packet that may be sent again.
#[derive(Clone, Copy, Debug)]
struct Kept {
    load: Load,
    size: u16,
    resent: Option<Instant>,
}

/// The node's side of a flow.
#[derive(Debug)]
pub struct Flow {
    /// The controller under test.
    pub controller: Controller,
    pacer: Pacer<(Load, u16)>,
    /// What it has to send.
    pub source: Source,
    sequence: u64,
    number: u64,
    picture: u64,
    kept: BTreeMap<u64, Kept>,
    resends: Resends,
    /// Bytes of probes' padding.
    pub padding: u64,
}

impl Flow {
    /// With a controller that begins with `config`.
    pub fn new(now: Instant, config: Config, pictures: Pictures, seed: u64) -> Self {
        let mut controller = Controller::new(config);
        let source = Source::new(pictures, seed);
        controller.set_desired(source.desired().plus(AUDIO));
        let pacer = Pacer::new(now, controller.target());
        let resends = Resends::new();
        let kept = BTreeMap::new();
        Self { controller, pacer, source, sequence: 0, number: 0, picture: 0, kept, resends, padding: 0 }
    }

    fn media_target(&self) -> Rate {
        Rate::bps(self.controller.estimate().media.as_bps().saturating_sub(AUDIO.as_bps()))
    }

    /// Sends what leaves in this millisecond: the transport-wide sequence number, size and load of each packet.
    pub fn tick(&mut self, now: Instant, now_ms: u64, mut send: impl FnMut(u64, u16, Load)) {
        if now_ms.is_multiple_of(100) {
            self.controller.on_timeout(now);
            self.pacer.set_target(now, self.controller.target());
            self.source.choose(now_ms, self.media_target());
        }
        if now_ms.is_multiple_of(AUDIO_MS) {
            self.pacer.push(now, Priority::Audio, AUDIO_BYTES, (Load::Audio, AUDIO_BYTES));
        }
        let target = self.media_target();
        if let Some(picture) = self.source.tick(now_ms, target) {
            self.cut(now, picture.bytes, picture.key);
        }
        if !self.pacer.probing()
            && now_ms.is_multiple_of(10)
            && let Some(cluster) = self.controller.next_probe(now)
        {
            self.pacer.probe(cluster);
        }
        while let Some(release) = self.pacer.poll(now) {
            let (load, size, cluster) = match release {
                Release::Media((load, size), cluster) => (load, size, cluster),
                Release::Padding(size, cluster) => {
                    self.pacer.on_padding(now, size as u16);
                    self.padding += u64::from(size);
                    (Load::Padding, size as u16, Some(cluster))
                }
            };
            self.controller.on_sent(now, self.sequence as u16, size, cluster);
            send(self.sequence, size, load);
            self.sequence += 1;
        }
    }

    fn cut(&mut self, now: Instant, bytes: u64, key: bool) {
        if key {
            // Nobody needs what was before.
            self.kept.clear();
        }
        let parts = bytes.div_ceil(PACKET).max(1);
        for _ in 0..parts {
            let load = Load::Video { number: self.number, picture: self.picture, parts: parts as u16, key };
            let size = (bytes / parts) as u16 + HEADER;
            self.kept.insert(self.number, Kept { load, size, resent: None });
            self.kept.remove(&self.number.wrapping_sub(KEPT));
            self.pacer.push(now, Priority::Video, size, (load, size));
            self.number += 1;
        }
        self.picture += 1;
    }

    /// A message of the client comes.
    pub fn on_message(&mut self, now: Instant, now_ms: u64, message: Message) {
        match message {
            Message::Feedback(bytes) => {
                let feedback = Feedback::parse(&bytes).expect("what the receiver wrote");
                self.controller.on_feedback(now, &feedback);
                self.pacer.set_target(now, self.controller.target());
                self.pacer.set_lossy(now, self.controller.estimate().lossy);
                let target = self.media_target();
                self.source.choose(now_ms, target);
            }
            Message::Missing(numbers) => {
                let estimate = self.controller.estimate();
                for number in numbers {
                    let Some(kept) = self.kept.get_mut(&number) else { continue };
                    let under_way = kept.resent.is_some_and(|at| now.saturating_duration_since(at) < estimate.rtt);
                    if !under_way && self.resends.take(now, estimate.resends, kept.size) {
                        kept.resent = Some(now);
                        self.pacer.push(now, Priority::Resend, kept.size, (kept.load, kept.size));
                    }
                }
            }
            Message::KeyFrame => self.source.want_key(now_ms),
        }
    }

    /// How long the oldest packet has waited in the pacer.
    pub fn waited(&self, now: Instant) -> Duration {
        self.pacer.waited(now)
    }
}
