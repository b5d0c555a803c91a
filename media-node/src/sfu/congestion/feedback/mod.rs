//! Transport-wide feedback on the wire: when each packet arrived at the receiver
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1).
//!
//! [`Feedback::parse`] checks a whole RTCP packet and borrows it; [`Feedback::packets`] walks it without allocating.

mod write;

pub use write::{Header, WriteError, write};

use std::time::Duration;

/// RTCP's generic transport feedback (RFC 4585, section 6.1).
const PAYLOAD_TYPE: u8 = 205;
/// The format of transport-wide feedback within it.
const FORMAT: u8 = 15;
/// RTCP header, two SSRCs, base sequence number, count, reference time and feedback count.
const HEADER: usize = 20;
/// Most packets that one feedback may tell of. A receiver that reports every 250 ms reaches this at 32,000 packets a second;
/// without a limit, 16 bytes of run lengths would have us walk 65,535 of them.
pub const MAX_PACKETS: u16 = 8_192;
/// What a delta counts in.
pub const TICK: Duration = Duration::from_micros(250);
/// What the reference time counts in.
pub const REFERENCE_UNIT: Duration = Duration::from_millis(64);
const TICK_US: i64 = 250;
const REFERENCE_UNIT_US: i64 = 64_000;

/// Why an RTCP packet is no usable feedback.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FeedbackError {
    /// Another RTCP packet, or another version of RTP.
    #[error("not transport-wide feedback")]
    NotFeedback,
    /// It ends before what it announces.
    #[error("the feedback ends early")]
    Truncated,
    /// Its padding is longer than itself.
    #[error("the padding is longer than the packet")]
    Padding,
    /// It tells of more packets than [`MAX_PACKETS`].
    #[error("{0} packets in one feedback")]
    TooMany(u16),
    /// It uses the symbol that the draft reserves.
    #[error("a reserved packet status")]
    Reserved,
}

/// A checked feedback packet.
#[derive(Clone, Copy, Debug)]
pub struct Feedback<'a> {
    base: u16,
    count: u16,
    reference: u32,
    number: u8,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl<'a> Feedback<'a> {
    /// Checks one RTCP packet, its common header included. What follows it in a compound packet is left alone.
    pub fn parse(packet: &'a [u8]) -> Result<Self, FeedbackError> {
        let header = packet.first_chunk::<HEADER>().ok_or(FeedbackError::Truncated)?;
        let [first, kind, l1, l0, _, _, _, _, _, _, _, _, b1, b0, c1, c0, r2, r1, r0, number] = *header;
        if first >> 6 != 2 || first & 0x1f != FORMAT || kind != PAYLOAD_TYPE {
            return Err(FeedbackError::NotFeedback);
        }
        let words = usize::from(u16::from_be_bytes([l1, l0]));
        let mut body = packet.get(HEADER..(words + 1) * 4).ok_or(FeedbackError::Truncated)?;
        if first & 0x20 != 0 {
            let padding = usize::from(body.last().copied().unwrap_or(0));
            let end = body.len().checked_sub(padding).filter(|_| padding > 0).ok_or(FeedbackError::Padding)?;
            body = body.get(..end).ok_or(FeedbackError::Padding)?;
        }
        let count = u16::from_be_bytes([c1, c0]);
        if count > MAX_PACKETS {
            return Err(FeedbackError::TooMany(count));
        }
        let (chunks, deltas) = split(body, count)?;
        let reference = u32::from_be_bytes([0, r2, r1, r0]);
        Ok(Self { base: u16::from_be_bytes([b1, b0]), count, reference, number, chunks, deltas })
    }

    /// The first packet's transport-wide sequence number.
    pub fn base(&self) -> u16 {
        self.base
    }

    /// How many packets it tells of.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The reference time as sent: 24 bits, in units of [`REFERENCE_UNIT`].
    pub fn reference(&self) -> u32 {
        self.reference
    }

    /// The receiver's count of feedback packets; it wraps.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// Sequence numbers in order, each with its arrival in microseconds after the reference time, `None` if it didn't arrive.
    pub fn packets(&self) -> Packets<'a> {
        Packets {
            chunks: self.chunks,
            deltas: self.deltas,
            chunk: Chunk::EMPTY,
            left: self.count,
            next: self.base,
            ticks: 0,
        }
    }
}

/// Finds where the chunks end, and checks that there are as many deltas as they announce.
fn split(body: &[u8], count: u16) -> Result<(&[u8], &[u8]), FeedbackError> {
    let mut rest = body;
    let mut left = count;
    let mut bytes = 0usize;
    while left > 0 {
        let (word, after) = rest.split_first_chunk::<2>().ok_or(FeedbackError::Truncated)?;
        rest = after;
        let mut chunk = Chunk::new(u16::from_be_bytes(*word));
        while left > 0
            && let Some(symbol) = chunk.next()
        {
            left -= 1;
            bytes += match symbol {
                NOT_RECEIVED => 0,
                SMALL => 1,
                LARGE => 2,
                _ => return Err(FeedbackError::Reserved),
            };
        }
    }
    let chunks = body.get(..body.len() - rest.len()).ok_or(FeedbackError::Truncated)?;
    Ok((chunks, rest.get(..bytes).ok_or(FeedbackError::Truncated)?))
}

/// Packet status symbols (section 3.1.1).
const NOT_RECEIVED: u8 = 0;
const SMALL: u8 = 1;
const LARGE: u8 = 2;

/// A status chunk that is being read: the symbols, the next one highest, and how many are left.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    bits: u16,
    width: u8,
    left: u16,
}

impl Chunk {
    const EMPTY: Self = Self { bits: 0, width: 0, left: 0 };

    fn new(word: u16) -> Self {
        match word >> 14 {
            // A run length: one symbol in two bits, that isn't shifted away.
            0 | 1 => Self { bits: (word & 0x6000) << 1, width: 0, left: word & 0x1fff },
            // A vector of 14 symbols of one bit.
            2 => Self { bits: word << 2, width: 1, left: 14 },
            // A vector of 7 symbols of two bits.
            _ => Self { bits: word << 2, width: 2, left: 7 },
        }
    }

    fn next(&mut self) -> Option<u8> {
        self.left = self.left.checked_sub(1)?;
        let symbol = if self.width == 1 { self.bits >> 15 } else { self.bits >> 14 };
        self.bits <<= self.width;
        Some(symbol as u8)
    }
}

/// Iterates over the packets of a feedback.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    chunks: &'a [u8],
    deltas: &'a [u8],
    chunk: Chunk,
    left: u16,
    next: u16,
    ticks: i64,
}

impl Packets<'_> {
    fn symbol(&mut self) -> Option<u8> {
        loop {
            if let Some(symbol) = self.chunk.next() {
                return Some(symbol);
            }
            let (word, rest) = self.chunks.split_first_chunk::<2>()?;
            self.chunks = rest;
            self.chunk = Chunk::new(u16::from_be_bytes(*word));
        }
    }

    fn delta(&mut self, symbol: u8) -> Option<i64> {
        match symbol {
            SMALL => {
                let (delta, rest) = self.deltas.split_first()?;
                self.deltas = rest;
                Some(i64::from(*delta))
            }
            LARGE => {
                let (delta, rest) = self.deltas.split_first_chunk::<2>()?;
                self.deltas = rest;
                Some(i64::from(i16::from_be_bytes(*delta)))
            }
            _ => None,
        }
    }
}

impl Iterator for Packets<'_> {
    type Item = (u16, Option<i64>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let symbol = self.symbol()?;
        let sequence = self.next;
        self.next = sequence.wrapping_add(1);
        let arrival = self.delta(symbol).map(|delta| {
            self.ticks += delta;
            self.ticks * TICK_US
        });
        Some((sequence, arrival))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(usize::from(self.left)))
    }
}

#[cfg(test)]
mod tests;
