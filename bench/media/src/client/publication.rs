//! A stream that a client publishes: the source's frames as packets.

use super::vp8;
use crate::{
    model::{
        audio::{Audio, AudioSource},
        video::{Video, VideoSource},
    },
    wire::{
        rtp::Fields,
        sdp::{Kind, Numbers},
        srtp::{Srtp, SrtpError},
        stamp::Stamp,
    },
};
use rand::Rng;
use std::time::Duration;

/// Bytes at a payload's beginning that belong to the codec, and that an SFU may rewrite (picture ids).
pub const HEAD: usize = vp8::HEAD;
/// Sent packets that can be sent again.
const REMEMBERED: usize = 1_024;

/// What a source sends.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// A camera.
    Video(Video),
    /// A camera in three sizes at once, the smallest first. Each is a source of its own; their numbers follow each other.
    Simulcast([Video; 3]),
    /// A voice.
    Audio(Audio),
}

impl Content {
    /// How many sources it takes.
    pub fn sources(self) -> u32 {
        match self {
            Content::Simulcast(layers) => layers.len() as u32,
            Content::Video(_) | Content::Audio(_) => 1,
        }
    }

    /// Audio or video.
    pub fn kind(self) -> Kind {
        match self {
            Content::Video(_) | Content::Simulcast(_) => Kind::Video,
            Content::Audio(_) => Kind::Audio,
        }
    }
}

/// What to publish.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The source's number in the whole load.
    pub source: u32,
    /// What it sends.
    pub content: Content,
    /// The m-line.
    pub mid: String,
    /// The simulcast layer; empty: none.
    pub rid: String,
    /// Stream and retransmission stream.
    pub ssrcs: [u32; 2],
    /// Payload types and extension ids.
    pub numbers: Numbers,
}

#[derive(Clone, Debug)]
enum Model {
    Video(VideoSource, u16),
    Audio(AudioSource),
}

#[derive(Clone, Copy, Debug, Default)]
struct Written {
    number: u32,
    timestamp: u32,
    marker: bool,
    level: u8,
    head: [u8; HEAD],
    size: usize,
}

/// The stream.
pub struct Publication {
    plan: Plan,
    model: Model,
    /// The source's number of the next packet; sequence numbers are its low bits.
    next: u32,
    next_resent: u32,
    written: Vec<Written>,
}

/// What is needed to put packets on the wire.
pub struct Writer<'a> {
    /// The client's keys.
    pub srtp: &'a Srtp,
    /// The connection's next transport-wide number.
    pub transport_seq: &'a mut u16,
    /// The buffer for a packet.
    pub packet: &'a mut Vec<u8>,
}

impl Publication {
    /// Begins at `start`, counted as in [`Publication::poll`]. `random` spreads numbers and phases.
    pub fn new(plan: Plan, start: Duration, random: &mut impl Rng) -> Self {
        let model = match plan.content {
            // Layers are published one by one.
            Content::Video(video) | Content::Simulcast([video, ..]) => {
                let phase = Duration::from_secs(1) / video.fps.max(1);
                Model::Video(VideoSource::new(video, start + phase.mul_f64(random.random())), video.height)
            }
            Content::Audio(audio) => {
                let phase = crate::model::audio::FRAME.mul_f64(random.random());
                Model::Audio(AudioSource::new(audio, start + phase))
            }
        };
        // Below 2^15, so that both sides begin with a rollover counter of 0 (RFC 3711 §3.3.1).
        let next = random.random_range(1..0x7000);
        Self { plan, model, next, next_resent: 1, written: vec![Written::default(); REMEMBERED] }
    }

    /// The source's number.
    pub fn source(&self) -> u32 {
        self.plan.source
    }

    /// The stream.
    pub fn ssrc(&self) -> u32 {
        let [ssrc, _] = self.plan.ssrcs;
        ssrc
    }

    /// When something is due.
    pub fn due(&self) -> Duration {
        match &self.model {
            Model::Video(source, _) => source.due(),
            Model::Audio(source) => source.due(),
        }
    }

    /// A key frame is wanted.
    pub fn want_keyframe(&mut self) {
        if let Model::Video(source, _) = &mut self.model {
            source.want_keyframe();
        }
    }

    /// Makes what is due; each packet's number and bytes go to `send`. An inactive source's time passes in silence.
    pub fn poll(
        &mut self,
        now: Duration,
        active: bool,
        random: &mut impl Rng,
        writer: &mut Writer<'_>,
        mut send: impl FnMut(u32, &[u8]),
    ) -> Result<(), SrtpError> {
        let mut batch: Vec<Written> = Vec::new();
        match &mut self.model {
            Model::Video(source, height) => {
                if let Some(frame) = source.poll(now, random) {
                    let timestamp = (now.as_micros() as u64 * 9 / 100) as u32;
                    let count = frame.payloads().count();
                    batch.extend(frame.payloads().enumerate().map(|(index, size)| Written {
                        timestamp,
                        marker: index + 1 == count,
                        head: vp8::head(frame.number, index == 0, frame.keyframe, *height),
                        size,
                        ..Written::default()
                    }));
                }
            }
            Model::Audio(source) => {
                while now >= source.due() {
                    batch.extend(source.poll(now, random).map(|sound| Written {
                        timestamp: sound.timestamp,
                        marker: sound.marker,
                        level: sound.level,
                        // A configuration of 20 ms (RFC 6716 §3.1).
                        head: [0x78; HEAD],
                        size: sound.bytes,
                        ..Written::default()
                    }));
                }
            }
        }
        if !active {
            return Ok(());
        }
        for mut written in batch {
            written.number = self.next;
            self.next = self.next.wrapping_add(1);
            self.write(&written, None, writer)?;
            send(written.number, writer.packet);
            if let Some(slot) = self.written.get_mut(written.number as usize % REMEMBERED) {
                *slot = written;
            }
        }
        Ok(())
    }

    /// Sends a packet again: with the retransmission payload type if there is one, else as it was.
    pub fn resend(&mut self, seq: u16, writer: &mut Writer<'_>, mut send: impl FnMut(&[u8])) -> Result<(), SrtpError> {
        let behind = (self.next as u16).wrapping_sub(seq);
        let number = self.next.wrapping_sub(behind.into());
        let found = self.written.get(number as usize % REMEMBERED).copied();
        let Some(written) = found.filter(|written| written.number == number && written.size > 0) else {
            return Ok(());
        };
        let resent = (self.plan.numbers.rtx > 0).then_some(self.next_resent);
        self.next_resent = self.next_resent.wrapping_add(1);
        self.write(&written, resent, writer)?;
        send(writer.packet);
        Ok(())
    }

    fn write(&self, written: &Written, resent: Option<u32>, writer: &mut Writer<'_>) -> Result<(), SrtpError> {
        let Plan { numbers, ssrcs: [media, repair], mid, rid, .. } = &self.plan;
        let (payload_type, index, ssrc) = match resent {
            Some(index) => (numbers.rtx, index, *repair),
            None => (numbers.payload_type, written.number, *media),
        };
        let transport_seq = writer.transport_seq.to_be_bytes();
        *writer.transport_seq = writer.transport_seq.wrapping_add(1);
        // Voice activity, then the level (RFC 6464).
        let level = [written.level | u8::from(written.level < 127) << 7];
        let fields = Fields {
            payload_type,
            marker: written.marker,
            seq: index as u16,
            timestamp: written.timestamp,
            ssrc,
            extensions: &[
                (numbers.transport, &transport_seq),
                (numbers.mid, mid.as_bytes()),
                (if resent.is_none() { numbers.rid } else { numbers.repaired }, rid.as_bytes()),
                (numbers.level, &level),
            ],
        };
        writer.packet.clear();
        let header = fields.write(writer.packet);
        if resent.is_some() {
            // The original's number comes first (RFC 4588 §4).
            writer.packet.extend((written.number as u16).to_be_bytes());
        }
        let payload = writer.packet.len();
        writer.packet.resize(payload + written.size, 0);
        if let Some(payload) = writer.packet.get_mut(payload..) {
            payload.iter_mut().zip(written.head).for_each(|(to, from)| *to = from);
            Stamp { source: self.plan.source, number: written.number }.fill(payload, HEAD);
        }
        writer.srtp.protect_rtp(writer.packet, header, ssrc, index.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{rtp::Header, srtp::Profile};
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn packets_can_be_opened_and_sent_again() {
        let mut random = StdRng::seed_from_u64(1);
        let video = Video { kbps: 1_000, fps: 30, height: 360, key_every: Duration::from_secs(5) };
        let plan = Plan {
            source: 9,
            content: Content::Video(video),
            mid: "0".into(),
            rid: String::new(),
            ssrcs: [5, 6],
            numbers: Numbers::ours(Kind::Video),
        };
        let (write, _) = Srtp::pair(Profile::Gcm128, &[7; 56]).unwrap();
        let (mut transport_seq, mut packet) = (0, Vec::new());
        let mut publication = Publication::new(plan, Duration::ZERO, &mut random);
        let mut sent: Vec<(u32, Vec<u8>)> = Vec::new();
        for millis in 0..200 {
            let mut writer = Writer { srtp: &write, transport_seq: &mut transport_seq, packet: &mut packet };
            let send = |number, packet: &[u8]| sent.push((number, packet.to_vec()));
            publication.poll(Duration::from_millis(millis), true, &mut random, &mut writer, send).unwrap();
        }
        assert!(sent.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1));
        for (at, (number, packet)) in sent.iter().enumerate() {
            let mut packet = packet.clone();
            let header = Header::read(&packet, Some(3)).unwrap();
            assert_eq!((header.ssrc, header.payload_type, header.transport_seq), (5, 96, Some(at as u16)));
            let payload = write.open_rtp(&mut packet, header.len, 5, (*number).into()).unwrap();
            assert_eq!(Stamp::read(payload, HEAD), Some(Stamp { source: 9, number: *number }));
            if at == 0 {
                assert_eq!(payload[..4], [0x90, 0x80, 0x80, 0]);
                assert_eq!(payload[4] & 1, 0, "a key frame");
            }
        }
        let mut resent = Vec::new();
        let mut writer = Writer { srtp: &write, transport_seq: &mut transport_seq, packet: &mut packet };
        let wanted = sent[3].0;
        publication.resend(wanted as u16, &mut writer, |packet| resent.push(packet.to_vec())).unwrap();
        publication.resend((wanted as u16).wrapping_add(500), &mut writer, |_| panic!("never sent")).unwrap();
        let header = Header::read(&resent[0], None).unwrap();
        assert_eq!((header.ssrc, header.payload_type, header.seq), (6, 97, 1));
        let payload = write.open_rtp(&mut resent[0], header.len, 6, 1).unwrap();
        assert_eq!(payload[..2], (wanted as u16).to_be_bytes());
        assert_eq!(Stamp::read(&payload[2..], HEAD).unwrap().number, wanted);
    }
}
