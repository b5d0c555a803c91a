//! A media packet on its way through the node.

use super::{
    codec::{Format, dependency::RawDescriptor},
    id::{Mid, Rid},
    rewrite::Numbers,
};
use std::{sync::Arc, time::Instant};

/// A decrypted RTP packet from a publisher. Its payload is shared by all receivers, never copied.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The publisher's m-line.
    pub mid: Mid,
    /// The simulcast layer.
    pub rid: Option<Rid>,
    /// What the payload is.
    pub format: Format,
    /// Extended sequence number.
    pub seq: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Marker bit.
    pub marker: bool,
    /// The payload without header and padding.
    pub payload: Arc<[u8]>,
    /// Loudness, 0 (overload) to 127 (silence) decibels below overload (RFC 6464).
    pub audio_level: Option<u8>,
    /// Whether the client hears a voice in it (RFC 6464).
    pub voice: Option<bool>,
    /// The dependency descriptor, if the publisher sends it.
    pub descriptor: Option<Arc<RawDescriptor>>,
    /// How the picture must be turned to stand upright, in quarter turns clockwise.
    pub quarter_turns: Option<u8>,
    /// When it arrived.
    pub arrival: Instant,
}

/// A packet's way to one receiver.
#[derive(Clone, Copy, Debug)]
pub struct Forward<'a> {
    /// The receiver's m-line.
    pub mid: Mid,
    /// The receiver's payload type.
    pub payload_type: u8,
    /// The numbers that the receiver shall see.
    pub numbers: Numbers,
    /// The marker bit as the receiver shall see it.
    pub marker: bool,
    /// What is sent: the packet's payload, a part of it, or nothing to fill the place of a packet that the receiver doesn't get.
    pub payload: &'a Arc<[u8]>,
    /// The dependency descriptor as the receiver shall see it.
    pub descriptor: Option<&'a Arc<RawDescriptor>>,
    /// Whether it belongs to the beginning of a key frame: nothing before that is needed any more.
    pub keyframe: bool,
    /// The packet.
    pub packet: &'a Packet,
}

/// The two data channels of a client.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Channel {
    /// `chroom`: reliable and ordered.
    Reliable,
    /// `chroom-lossy`: unordered, never resent.
    Lossy,
}

impl Channel {
    /// Label of the data channel.
    pub fn label(self) -> &'static str {
        match self {
            Channel::Reliable => "chroom",
            Channel::Lossy => "chroom-lossy",
        }
    }

    /// The channel with this label.
    pub fn by_label(label: &str) -> Option<Self> {
        [Channel::Reliable, Channel::Lossy].into_iter().find(|channel| channel.label() == label)
    }
}

/// Audio or video.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

impl Kind {
    /// The name that SDP and the control interface use.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Audio => "audio",
            Kind::Video => "video",
        }
    }
}
