//! The writer: what a receiver sends.

use super::{FORMAT, LARGE, MAX_PACKETS, NOT_RECEIVED, PAYLOAD_TYPE, REFERENCE_UNIT_US, SMALL, TICK_US};

/// Why a feedback can't be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WriteError {
    /// More packets than [`MAX_PACKETS`]; send several.
    #[error("{0} packets don't fit into one feedback")]
    TooMany(usize),
    /// Two arrivals lie more than 8.1 s apart; send several.
    #[error("two arrivals lie too far apart for one feedback")]
    TooFarApart,
}

/// What a feedback says besides arrivals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The reporter's SSRC.
    pub sender: u32,
    /// The SSRC of (any of) the streams that are reported on.
    pub media: u32,
    /// The first packet's transport-wide sequence number.
    pub base: u16,
    /// The count of feedback packets.
    pub number: u8,
}

/// Appends a feedback to `out`: for each packet from `header.base` on its arrival in microseconds on the receiver's clock
/// (not negative), `None` if it didn't arrive. Arrivals are rounded down to 250 µs. Nothing is appended on an error.
pub fn write(out: &mut Vec<u8>, header: Header, arrivals: &[Option<i64>]) -> Result<(), WriteError> {
    let count = u16::try_from(arrivals.len()).ok().filter(|count| *count <= MAX_PACKETS);
    let count = count.ok_or(WriteError::TooMany(arrivals.len()))?;
    let first = arrivals.iter().flatten().next().copied().unwrap_or(0);
    let reference = first.div_euclid(REFERENCE_UNIT_US);
    let mut ticks = reference * (REFERENCE_UNIT_US / TICK_US);
    let mut symbols = Vec::with_capacity(arrivals.len());
    let mut deltas = Vec::with_capacity(arrivals.len());
    for arrival in arrivals {
        let Some(arrival) = arrival else {
            symbols.push(NOT_RECEIVED);
            continue;
        };
        let at = arrival.div_euclid(TICK_US);
        let delta = at - ticks;
        ticks = at;
        if let Ok(small) = u8::try_from(delta) {
            symbols.push(SMALL);
            deltas.push(small);
        } else {
            let large = i16::try_from(delta).map_err(|_| WriteError::TooFarApart)?;
            symbols.push(LARGE);
            deltas.extend(large.to_be_bytes());
        }
    }
    let start = out.len();
    out.extend([0x80 | FORMAT, PAYLOAD_TYPE, 0, 0]);
    out.extend(header.sender.to_be_bytes());
    out.extend(header.media.to_be_bytes());
    out.extend(header.base.to_be_bytes());
    out.extend(count.to_be_bytes());
    let [_, r2, r1, r0] = (reference as u32).to_be_bytes();
    out.extend([r2, r1, r0, header.number]);
    write_chunks(out, &symbols);
    out.extend(deltas);
    let padding = (4 - (out.len() - start) % 4) % 4;
    out.extend((0..padding).map(|at| if at + 1 == padding { padding as u8 } else { 0 }));
    let words = u16::try_from((out.len() - start) / 4 - 1).unwrap_or(u16::MAX);
    if let Some([first, _, l1, l0]) = out.get_mut(start..start + 4) {
        *first |= if padding > 0 { 0x20 } else { 0 };
        [*l1, *l0] = words.to_be_bytes();
    }
    Ok(())
}

fn write_chunks(out: &mut Vec<u8>, symbols: &[u8]) {
    let mut rest = symbols;
    while let Some(first) = rest.first() {
        let run = rest.iter().take_while(|symbol| *symbol == first).take(0x1fff).count();
        // A run is worth a chunk of its own from as many symbols on as a vector of two bits holds.
        let (word, used) = if run >= 7 || run == rest.len() {
            (u16::from(*first) << 13 | run as u16, run)
        } else {
            let used = rest.len().min(7);
            let bits = rest.iter().take(7).fold(0u16, |bits, symbol| bits << 2 | u16::from(*symbol));
            (0xc000 | bits << (2 * (7 - used)), used)
        };
        out.extend(word.to_be_bytes());
        rest = rest.get(used..).unwrap_or_default();
    }
}
