//! Frames on a stream, from clients over TCP (RFC 4571).

use chroom_media_node::sfu::tcp::frame::{Deframer, LENGTH, MAX_FRAME};

/// The first byte says how the stream is cut.
pub fn run(input: &[u8]) {
    let Some((cut, stream)) = input.split_first() else { return };
    let mut deframer = Deframer::default();
    let mut taken = 0;
    for some in stream.chunks(usize::from(*cut).max(1)) {
        deframer.push(some);
        loop {
            match deframer.pop() {
                Ok(Some(frame)) => {
                    assert!(!frame.is_empty() && frame.len() <= MAX_FRAME);
                    taken += LENGTH + frame.len();
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
        assert!(taken + deframer.rest().len() <= stream.len() && deframer.rest().len() < LENGTH + MAX_FRAME);
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let frame = |length: u16, byte: u8| [&length.to_be_bytes()[..], &vec![byte; length.into()]].concat();
    let cut = |cut: u8, frames: &[Vec<u8>]| [vec![cut], frames.concat()].concat();
    vec![
        cut(1, &[frame(20, 0), frame(0, 0), frame(3, 0x80)]),
        cut(100, &[frame(1_200, 0x90), frame(1_200, 0x16), frame(90, 0x80)]),
        cut(255, &[frame(2_048, 1), frame(2_049, 1)]),
    ]
}
