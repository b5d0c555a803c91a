//! RTCP compound packets (RFC 3550 §6): what the other side reports, and what this side says of its streams and of the other's.

/// Sender report.
const SENDER_REPORT: u8 = 200;
/// Receiver report.
const RECEIVER_REPORT: u8 = 201;
/// Source description.
const DESCRIPTION: u8 = 202;
/// Transport-layer feedback (RFC 4585 §6.2).
const TRANSPORT_FEEDBACK: u8 = 205;
/// Payload-specific feedback (RFC 4585 §6.3).
const PAYLOAD_FEEDBACK: u8 = 206;
/// Formats of feedback: generic NACK, transport-wide congestion control; picture loss, full intra request (RFC 5104 §4.3.1), application layer (REMB).
const NACK: u8 = 1;
const TRANSPORT_CC: u8 = 15;
const PICTURE_LOSS: u8 = 1;
const FULL_INTRA: u8 = 4;
const APPLICATION: u8 = 15;
/// Bytes of a report block.
const BLOCK: usize = 24;
/// Bytes of a sender report before its blocks.
const SENDER_HEAD: usize = 28;
/// Bytes of a receiver report before its blocks.
const RECEIVER_HEAD: usize = 8;

/// What a receiver says of one stream of this side (RFC 3550 §6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportBlock {
    /// The stream.
    pub ssrc: u32,
    /// Share lost since the report before, in parts of 256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning; repaired ones taken away, so that it may fall below 0.
    pub lost: i32,
    /// Highest sequence number that came, with the count of its cycles above.
    pub highest: u32,
    /// Interarrival jitter in units of the stream's clock.
    pub jitter: u32,
    /// Middle half of the timestamp of the last sender report that came; 0 if none did.
    pub last_report: u32,
    /// Time from that to this report, in parts of 65,536 of a second.
    pub delay: u32,
}

/// One thing that a receiver says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Feedback<'a> {
    /// How a stream arrives.
    Report(ReportBlock),
    /// Packets of `ssrc` are missing: pairs of a sequence number and a mask of the sixteen after it (RFC 4585 §6.2.1).
    Nack {
        /// The stream.
        ssrc: u32,
        /// The pairs, four bytes each.
        pairs: &'a [u8],
    },
    /// When packets arrived: a whole feedback packet with its header.
    Arrivals(&'a [u8]),
    /// The receiver needs a key frame of `ssrc`.
    Keyframe {
        /// The stream.
        ssrc: u32,
    },
    /// The receiver's own estimate in bit/s (draft-alvestrand-rmcat-remb-03).
    Estimate(u64),
    /// A source of the other side says what its wall clock is.
    Sent {
        /// The source.
        ssrc: u32,
        /// The middle 32 bits of the NTP timestamp, by which reports refer to it.
        middle: u32,
    },
}

/// The packets of a compound packet, each whole with its type and count field. A wrong length ends it.
fn packets(mut rest: &[u8]) -> impl Iterator<Item = (u8, u8, &[u8])> {
    std::iter::from_fn(move || {
        let [first, kind, high, low, ..] = *rest else { return None };
        let length = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
        let (packet, behind) = rest.split_at_checked(length).filter(|_| first >> 6 == 2)?;
        rest = behind;
        Some((kind, first & 0x1F, packet))
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn block(bytes: &[u8]) -> Option<ReportBlock> {
    let losses = word(bytes, 4)?;
    Some(ReportBlock {
        ssrc: word(bytes, 0)?,
        fraction_lost: (losses >> 24) as u8,
        // 24 bits with a sign.
        lost: (losses << 8) as i32 >> 8,
        highest: word(bytes, 8)?,
        jitter: word(bytes, 12)?,
        last_report: word(bytes, 16)?,
        delay: word(bytes, 20)?,
    })
}

/// Reads an opened compound packet; what is not of interest, or malformed, is passed over.
pub fn read<'a>(compound: &'a [u8], mut take: impl FnMut(Feedback<'a>)) {
    for (kind, count, packet) in packets(compound) {
        let head = match kind {
            SENDER_REPORT => {
                if let (Some(ssrc), Some(middle)) = (word(packet, 4), word(packet, 10)) {
                    take(Feedback::Sent { ssrc, middle });
                }
                SENDER_HEAD
            }
            RECEIVER_REPORT => RECEIVER_HEAD,
            TRANSPORT_FEEDBACK if count == NACK => {
                if let (Some(ssrc), Some(pairs)) = (word(packet, 8), packet.get(12..)) {
                    take(Feedback::Nack { ssrc, pairs });
                }
                continue;
            }
            TRANSPORT_FEEDBACK if count == TRANSPORT_CC => {
                take(Feedback::Arrivals(packet));
                continue;
            }
            PAYLOAD_FEEDBACK if count == PICTURE_LOSS => {
                if let Some(ssrc) = word(packet, 8) {
                    take(Feedback::Keyframe { ssrc });
                }
                continue;
            }
            PAYLOAD_FEEDBACK if count == FULL_INTRA => {
                // An entry names its stream itself; the header names none.
                let entries = packet.get(12..).unwrap_or_default().chunks_exact(8);
                entries.filter_map(|entry| word(entry, 0)).for_each(|ssrc| take(Feedback::Keyframe { ssrc }));
                continue;
            }
            PAYLOAD_FEEDBACK if count == APPLICATION && packet.get(12..16) == Some(b"REMB") => {
                if let Some(rate) = word(packet, 16) {
                    // 8 bits of count, 6 of exponent, 18 of mantissa.
                    let (exponent, mantissa) = (rate >> 18 & 0x3F, u64::from(rate & 0x3_FFFF));
                    take(Feedback::Estimate(mantissa.checked_shl(exponent).unwrap_or(u64::MAX)));
                }
                continue;
            }
            _ => continue,
        };
        let blocks = packet.get(head..).unwrap_or_default().chunks_exact(BLOCK).take(count.into());
        blocks.filter_map(block).for_each(|block| take(Feedback::Report(block)));
    }
}

/// The sequence numbers that the pairs of a NACK name.
pub fn missing(pairs: &[u8]) -> impl Iterator<Item = u16> {
    pairs.chunks_exact(4).flat_map(|pair| {
        let (first, mask) = match *pair {
            [a, b, c, d] => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
            _ => (0, 0),
        };
        let behind = (0..16u16).filter(move |bit| mask >> bit & 1 == 1).map(move |bit| first.wrapping_add(bit + 1));
        std::iter::once(first).chain(behind)
    })
}

/// What a sender report says of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SenderInfo {
    /// The stream.
    pub ssrc: u32,
    /// Wall clock as an NTP timestamp.
    pub ntp: u64,
    /// The same instant on the stream's clock.
    pub timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

/// Appends a sender report and the source's name, as RFC 3550 §6.1 wants them together.
pub fn write_report(info: &SenderInfo, cname: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0x80, SENDER_REPORT, 0, 6]);
    out.extend_from_slice(&info.ssrc.to_be_bytes());
    out.extend_from_slice(&info.ntp.to_be_bytes());
    for word in [info.timestamp, info.packets, info.octets] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    let name = cname.as_bytes().get(..cname.len().min(255)).unwrap_or_default();
    // SSRC, the item's type and length, the name, at least one null octet.
    let words = (4 + 2 + name.len() + 1).div_ceil(4);
    let end = out.len() + 4 + words * 4;
    out.extend_from_slice(&[0x81, DESCRIPTION]);
    out.extend_from_slice(&(words as u16).to_be_bytes());
    out.extend_from_slice(&info.ssrc.to_be_bytes());
    out.extend_from_slice(&[1, name.len() as u8]);
    out.extend_from_slice(name);
    out.resize(end, 0);
}

fn write_head(count: u8, kind: u8, words: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0x80 | count, kind]);
    out.extend_from_slice(&u16::try_from(words).unwrap_or(u16::MAX).to_be_bytes());
}

/// Appends a receiver report from `sender` with up to 31 blocks, or none.
pub fn write_receiver_report(sender: u32, blocks: &[ReportBlock], out: &mut Vec<u8>) {
    let blocks = blocks.get(..blocks.len().min(31)).unwrap_or_default();
    write_head(blocks.len() as u8, RECEIVER_REPORT, 1 + 6 * blocks.len(), out);
    out.extend_from_slice(&sender.to_be_bytes());
    for block in blocks {
        let losses = u32::from(block.fraction_lost) << 24 | block.lost as u32 & 0xFF_FFFF;
        for word in [block.ssrc, losses, block.highest, block.jitter, block.last_report, block.delay] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
}

/// Appends a NACK from `sender`: these packets of `media`, in order, are missing.
pub fn write_nack(sender: u32, media: u32, missing: &[u16], out: &mut Vec<u8>) {
    let start = out.len();
    write_head(NACK, TRANSPORT_FEEDBACK, 0, out);
    out.extend_from_slice(&sender.to_be_bytes());
    out.extend_from_slice(&media.to_be_bytes());
    let mut rest = missing.iter().copied().peekable();
    while let Some(first) = rest.next() {
        let mut mask = 0u16;
        while let Some(behind) =
            rest.peek().map(|next| next.wrapping_sub(first)).filter(|behind| (1..=16).contains(behind))
        {
            mask |= 1 << (behind - 1);
            rest.next();
        }
        out.extend_from_slice(&first.to_be_bytes());
        out.extend_from_slice(&mask.to_be_bytes());
    }
    let words = u16::try_from((out.len() - start) / 4 - 1).unwrap_or(u16::MAX);
    if let Some(place) = out.get_mut(start + 2..start + 4) {
        place.copy_from_slice(&words.to_be_bytes());
    }
}

/// Appends a request from `sender` for a key frame of `media` (RFC 4585 §6.3.1).
pub fn write_picture_loss(sender: u32, media: u32, out: &mut Vec<u8>) {
    write_head(PICTURE_LOSS, PAYLOAD_FEEDBACK, 2, out);
    out.extend_from_slice(&sender.to_be_bytes());
    out.extend_from_slice(&media.to_be_bytes());
}

/// Appends how much may be sent on all these sources together, in bit/s (draft-alvestrand-rmcat-remb-03), rounded down to 18 bits.
pub fn write_estimate(sender: u32, rate: u64, sources: &[u32], out: &mut Vec<u8>) {
    let sources = sources.get(..sources.len().min(255)).unwrap_or_default();
    write_head(APPLICATION, PAYLOAD_FEEDBACK, 4 + sources.len(), out);
    out.extend_from_slice(&sender.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(b"REMB");
    let exponent = (u64::BITS - rate.leading_zeros()).saturating_sub(18);
    let word = (sources.len() as u32) << 24 | exponent << 18 | (rate >> exponent) as u32;
    out.extend_from_slice(&word.to_be_bytes());
    sources.iter().for_each(|source| out.extend_from_slice(&source.to_be_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn feedback(compound: &[u8]) -> Vec<Feedback<'_>> {
        let mut all = Vec::new();
        read(compound, |one| all.push(one));
        all
    }

    fn receiver_report(lost: [u8; 4]) -> Vec<u8> {
        let mut packet = vec![0x81, 201, 0, 7, 0, 0, 0, 9, 0, 0, 0, 5];
        packet.extend(lost);
        packet.extend([0, 1, 0, 2, 0, 0, 0, 30, 1, 2, 3, 4, 0, 0, 0x80, 0]);
        packet
    }

    #[test]
    fn report_blocks_are_read_out_of_sender_and_receiver_reports() {
        let expected = ReportBlock {
            ssrc: 5,
            fraction_lost: 64,
            lost: -2,
            highest: 65_538,
            jitter: 30,
            last_report: 0x0102_0304,
            delay: 0x8000,
        };
        let receiver = receiver_report([64, 0xFF, 0xFF, 0xFE]);
        assert_eq!(feedback(&receiver), [Feedback::Report(expected)]);
        let mut sender = vec![0x81, 200, 0, 12, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8];
        sender.extend([0; 12]);
        sender.extend(&receiver[8..]);
        let sent = Feedback::Sent { ssrc: 9, middle: 0x0304_0506 };
        assert_eq!(feedback(&sender), [sent, Feedback::Report(expected)]);
    }

    #[test]
    fn nacks_name_a_packet_and_those_in_its_mask() {
        let packet = [0x81, 205, 0, 3, 0, 0, 0, 9, 0, 0, 0, 5, 0xFF, 0xFF, 0x80, 0x01];
        let [Feedback::Nack { ssrc: 5, pairs }] = feedback(&packet)[..] else { panic!("no NACK") };
        assert_eq!(missing(pairs).collect::<Vec<_>>(), [65_535, 0, 15]);
    }

    #[test]
    fn requests_for_key_frames_name_their_streams() {
        let loss = [0x81, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, 5];
        assert_eq!(feedback(&loss), [Feedback::Keyframe { ssrc: 5 }]);
        let full = [0x84, 206, 0, 6, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0];
        assert_eq!(feedback(&full), [Feedback::Keyframe { ssrc: 7 }, Feedback::Keyframe { ssrc: 8 }]);
        assert_eq!(feedback(&[0x84, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0]), [], "no entry");
    }

    #[test]
    fn an_estimate_is_mantissa_and_exponent() {
        let mut packet = vec![0x8F, 206, 0, 5, 0, 0, 0, 9, 0, 0, 0, 0];
        packet.extend(b"REMB");
        packet.extend([1, 3 << 2, 0x27, 0x10, 0, 0, 0, 5]);
        packet[3] = 5;
        assert_eq!(feedback(&packet), [Feedback::Estimate(80_000)]);
    }

    #[test]
    fn a_report_is_followed_by_the_sources_name() {
        let info = SenderInfo { ssrc: 5, ntp: 1 << 32, timestamp: 7, packets: 8, octets: 9 };
        let mut out = Vec::new();
        write_report(&info, "abc", &mut out);
        assert_eq!(out[..8], [0x80, 200, 0, 6, 0, 0, 0, 5]);
        assert_eq!(out[28..], [0x81, 202, 0, 3, 0, 0, 0, 5, 1, 3, b'a', b'b', b'c', 0, 0, 0]);
        for length in 0..300 {
            out.clear();
            write_report(&info, &"n".repeat(length), &mut out);
            assert_eq!(packets(&out).map(|(kind, _, _)| kind).collect::<Vec<_>>(), [200, 202], "{length}");
            assert_eq!(packets(&out).map(|(_, _, packet)| packet.len()).sum::<usize>(), out.len());
        }
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let block = |ssrc| ReportBlock {
            ssrc,
            fraction_lost: 7,
            lost: -3,
            highest: 65_540,
            jitter: 11,
            last_report: 12,
            delay: 13,
        };
        let mut out = Vec::new();
        write_receiver_report(1, &[block(2), block(3)], &mut out);
        write_estimate(1, 2_500_000, &[2, 3], &mut out);
        write_picture_loss(1, 2, &mut out);
        let missing: Vec<u16> = vec![65_530, 65_535, 0, 10, 11, 27, 100];
        write_nack(1, 2, &missing, &mut out);
        let read = feedback(&out);
        let Feedback::Nack { ssrc: 2, pairs } = read[4] else { panic!("{read:?}") };
        assert_eq!(super::missing(pairs).collect::<Vec<_>>(), missing);
        let told = [Feedback::Report(block(2)), Feedback::Report(block(3)), Feedback::Estimate(2_500_000)];
        assert_eq!(read[..3], told);
        assert_eq!((read[3], read.len()), (Feedback::Keyframe { ssrc: 2 }, 5));
        out.clear();
        write_receiver_report(1, &[block(2); 40], &mut out);
        assert_eq!(feedback(&out).len(), 31);
        out.clear();
        write_estimate(1, u64::MAX, &[], &mut out);
        assert!(matches!(feedback(&out)[..], [Feedback::Estimate(rate)] if rate > u64::MAX - (1 << 46)));
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            read(&bytes, |one| {
                if let Feedback::Nack { pairs, .. } = one {
                    let _ = missing(pairs).count();
                }
            });
        }
    }
}
