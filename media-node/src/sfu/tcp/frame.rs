//! Datagrams on a stream: each after its length in two bytes (RFC 4571 §2).

/// Longest frame that is read, in bytes: no datagram of a client's is longer than its path lets through.
pub const MAX_FRAME: usize = 2_048;
/// Bytes of a length.
pub const LENGTH: usize = 2;

/// A frame is longer than anything that a client has to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a frame of {0} bytes; the longest taken is {MAX_FRAME}")]
pub struct TooLong(pub usize);

/// Puts frames together from what a stream gives.
#[derive(Debug, Default)]
pub struct Deframer {
    buffer: Vec<u8>,
    begin: usize,
}

impl Deframer {
    /// Takes in bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.begin);
        self.begin = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if it is there. Empty ones are passed over: they keep a stream open.
    pub fn pop(&mut self) -> Result<Option<&[u8]>, TooLong> {
        loop {
            let Some(length) = self.buffer.get(self.begin..).and_then(<[u8]>::first_chunk::<LENGTH>) else {
                return Ok(None);
            };
            let length = usize::from(u16::from_be_bytes(*length));
            if length > MAX_FRAME {
                return Err(TooLong(length));
            }
            let begin = self.begin + LENGTH;
            if self.buffer.len() < begin + length {
                return Ok(None);
            }
            self.begin = begin + length;
            if length > 0 {
                return Ok(self.buffer.get(begin..begin + length));
            }
        }
    }

    /// What was taken in and is no whole frame yet.
    pub fn rest(&self) -> &[u8] {
        self.buffer.get(self.begin..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed(frames: &[Vec<u8>]) -> Vec<u8> {
        let one = |frame: &Vec<u8>| [&(frame.len() as u16).to_be_bytes()[..], frame].concat();
        frames.iter().flat_map(one).collect()
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_the_stream_cuts_them(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20),
            cuts in prop::collection::vec(1usize..50, 1..60),
        ) {
            let stream = framed(&frames);
            let mut deframer = Deframer::default();
            let (mut got, mut rest) = (Vec::new(), stream.as_slice());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                deframer.push(now);
                while let Some(frame) = deframer.pop().unwrap() {
                    got.push(frame.to_vec());
                }
                rest = later;
            }
            let expected: Vec<Vec<u8>> = frames.into_iter().filter(|frame| !frame.is_empty()).collect();
            prop_assert_eq!(got, expected);
            prop_assert!(deframer.rest().is_empty());
        }

        #[test]
        fn nothing_is_kept_that_is_longer_than_a_frame(bytes in prop::collection::vec(any::<u8>(), 0..10_000)) {
            let mut deframer = Deframer::default();
            for some in bytes.chunks(700) {
                deframer.push(some);
                loop {
                    match deframer.pop() {
                        Ok(Some(frame)) => prop_assert!(frame.len() <= MAX_FRAME),
                        Ok(None) => break,
                        Err(TooLong(length)) => {
                            prop_assert!(length > MAX_FRAME);
                            return Ok(());
                        }
                    }
                }
                prop_assert!(deframer.rest().len() < MAX_FRAME + LENGTH);
            }
        }
    }
}
