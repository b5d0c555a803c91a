//! The client: says when packets arrived, asks again for what is missing, and shows pictures in order.

use super::super::feedback::{self, Header};
use std::collections::BTreeMap;

/// Time between two feedbacks.
const FEEDBACK_MS: u64 = 100;
/// How often a packet is asked for before a key frame is.
const ATTEMPTS: u8 = 10;

/// What a packet carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Load {
    /// Sound, or others' traffic.
    #[default]
    Audio,
    /// Nothing.
    Padding,
    /// A part of a picture.
    Video {
        /// The packet's number among the video's.
        number: u64,
        /// The picture's.
        picture: u64,
        /// Into how many packets it was cut.
        parts: u16,
        /// Whether it needs no other.
        key: bool,
    },
}

/// What the client sends.
#[derive(Clone, Debug)]
pub enum Message {
    /// Transport-wide feedback, as on the wire.
    Feedback(Vec<u8>),
    /// Numbers of video packets that are missing.
    Missing(Vec<u64>),
    /// It can't go on without a key frame.
    KeyFrame,
}

/// The client of one flow.
#[derive(Debug, Default)]
pub struct Receiver {
    arrivals: BTreeMap<u64, i64>,
    next_sequence: u64,
    highest_sequence: u64,
    number: u8,
    next_video: u64,
    missing: BTreeMap<u64, (u8, u64)>,
    pictures: BTreeMap<u64, (u16, u16, bool)>,
    next_picture: u64,
    /// When pictures could be shown, in milliseconds.
    pub shown: Vec<u64>,
    /// Sound packets that arrived.
    pub sounds: u64,
    want_key: bool,
}

impl Receiver {
    /// A packet arrives; `sequence` is its transport-wide one, not wrapped.
    pub fn on_packet(&mut self, at_us: u64, sequence: u64, load: Load) {
        // The receiver's clock is another than the sender's.
        self.arrivals.insert(sequence, at_us as i64 + 77_777_777);
        self.highest_sequence = self.highest_sequence.max(sequence + 1);
        match load {
            Load::Padding => {}
            Load::Audio => self.sounds += 1,
            Load::Video { number, picture, parts, key } => self.on_video(at_us / 1_000, number, (picture, parts, key)),
        }
    }

    fn on_video(&mut self, now_ms: u64, number: u64, (picture, parts, key): (u64, u16, bool)) {
        for missing in self.next_video..number {
            self.missing.insert(missing, (0, now_ms));
        }
        let repaired = self.missing.remove(&number).is_some();
        if number < self.next_video && !repaired {
            return;
        }
        self.next_video = self.next_video.max(number + 1);
        self.pictures.entry(picture).or_insert((0, parts, key)).0 += 1;
        while let Some((picture, (got, parts, key))) = self.pictures.first_key_value().map(|(a, b)| (*a, *b)) {
            let late = picture < self.next_picture;
            if !late && (got < parts || picture > self.next_picture) {
                break;
            }
            self.pictures.pop_first();
            if !late {
                self.next_picture = picture + 1;
                self.shown.push(now_ms);
            }
            let _ = key;
        }
        self.skip_to_key(now_ms);
    }

    /// A whole key frame ends the wait for what was before it.
    fn skip_to_key(&mut self, now_ms: u64) {
        let whole =
            self.pictures.iter().find(|(_, (got, parts, key))| *key && got == parts).map(|(picture, _)| *picture);
        let Some(picture) = whole else { return };
        self.pictures = self.pictures.split_off(&picture);
        self.pictures.remove(&picture);
        self.next_picture = picture + 1;
        self.shown.push(now_ms);
    }

    /// What it sends in this millisecond.
    pub fn tick(&mut self, now_ms: u64, rtt_ms: u64, mut send: impl FnMut(Message)) {
        let mut due = vec![];
        self.missing.retain(|number, (attempts, at)| {
            if now_ms < *at {
                return true;
            }
            (*attempts, *at) = (*attempts + 1, now_ms + rtt_ms + 20);
            due.push(*number);
            self.want_key |= *attempts > ATTEMPTS;
            *attempts <= ATTEMPTS
        });
        if !due.is_empty() {
            send(Message::Missing(due));
        }
        if std::mem::take(&mut self.want_key) {
            send(Message::KeyFrame);
        }
        if now_ms.is_multiple_of(FEEDBACK_MS) && self.highest_sequence > self.next_sequence {
            let arrivals: Vec<Option<i64>> = (self.next_sequence..self.highest_sequence)
                .map(|sequence| self.arrivals.get(&sequence).copied())
                .collect();
            let header = Header { sender: 1, media: 2, base: self.next_sequence as u16, number: self.number };
            let mut bytes = vec![];
            feedback::write(&mut bytes, header, &arrivals).expect("arrivals of 100 ms fit");
            self.number = self.number.wrapping_add(1);
            self.next_sequence = self.highest_sequence;
            self.arrivals.clear();
            send(Message::Feedback(bytes));
        }
    }
}
