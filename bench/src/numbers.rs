//! Which numbers of an RTP stream arrived.

/// Where a packet is in its stream, by its RTP header.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The stream. It changes where a session begins anew.
    pub ssrc: u32,
    /// The packet's number in it.
    pub seq: u16,
}

/// Numbers that are remembered: half a minute of a video, for a reader that stands still while repairs go past what waits.
const SPAN: u64 = 2_048;
const WORDS: usize = (SPAN / u64::BITS as u64) as usize;

/// Numbers of one stream, each counted once as long as it is less than 2,048 older than the newest.
#[derive(Clone, Debug)]
pub struct Numbers {
    ssrc: u32,
    /// Extended by wrap-arounds, which are counted from 1 so that what comes late may be older than the first.
    first: u64,
    highest: u64,
    /// A ring: the bit of a number's remainder is set if it arrived.
    came: Box<[u64; WORDS]>,
    received: u64,
}

impl Numbers {
    /// A stream that begins with this packet.
    pub fn new(place: Place) -> Self {
        let first = u64::from(place.seq) + (1 << 16);
        let mut numbers = Self { ssrc: place.ssrc, first, highest: first, came: Box::new([0; WORDS]), received: 1 };
        numbers.set(first, true);
        numbers
    }

    /// Whether a packet is of this stream.
    pub fn is_of(&self, place: Place) -> bool {
        self.ssrc == place.ssrc
    }

    /// Notes a number; false if it was there before, or is older than can be told.
    pub fn arrived(&mut self, seq: u16) -> bool {
        let ahead = seq.wrapping_sub(self.highest as u16) as i16;
        let seq = self.highest.saturating_add_signed(ahead.into());
        if seq > self.highest {
            // Those between have not come, whatever came a round of the ring before.
            for between in (self.highest + 1..seq).take(SPAN as usize) {
                self.set(between, false);
            }
            self.highest = seq;
        } else if self.highest - seq >= SPAN || self.has(seq) {
            return false;
        }
        self.set(seq, true);
        self.first = self.first.min(seq);
        self.received += 1;
        true
    }

    fn has(&self, seq: u64) -> bool {
        let (word, bit) = Self::place_of(seq);
        self.came.get(word).is_some_and(|word| word & bit != 0)
    }

    fn set(&mut self, seq: u64, came: bool) {
        let (word, bit) = Self::place_of(seq);
        if let Some(word) = self.came.get_mut(word) {
            *word = if came { *word | bit } else { *word & !bit };
        }
    }

    fn place_of(seq: u64) -> (usize, u64) {
        let at = seq % SPAN;
        ((at / 64) as usize, 1 << (at % 64))
    }

    /// Numbers between the first and the highest that did not arrive.
    pub fn lost(&self) -> u64 {
        (self.highest - self.first + 1).saturating_sub(self.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_comes_again_is_told_apart() {
        let mut numbers = Numbers::new(Place { ssrc: 7, seq: 65_535 });
        let arrivals =
            [(0, true), (0, false), (65_535, false), (3, true), (65_534, true), (2, true), (3, false), (2, false)];
        for (seq, fresh) in arrivals {
            assert_eq!(numbers.arrived(seq), fresh, "{seq}");
        }
        assert_eq!(numbers.lost(), 1, "number 1 is missing");
        assert!(numbers.arrived(2_100) && numbers.arrived(53), "2,047 older can be told");
        assert!(!numbers.arrived(52), "2,048 older can't");
        assert!(numbers.arrived(2_053) && numbers.arrived(2_101) && numbers.arrived(54), "a round of the ring later");
        assert!(!numbers.is_of(Place { ssrc: 8, seq: 141 }));
    }

    proptest! {
        #[test]
        fn any_numbers_may_come(begins: u16, seqs in proptest::collection::vec(any::<u16>(), 0..500)) {
            let mut numbers = Numbers::new(Place { ssrc: 1, seq: begins });
            let mut fresh = 1;
            for seq in seqs {
                fresh += u64::from(numbers.arrived(seq));
                prop_assert!(!numbers.arrived(seq));
            }
            prop_assert!(numbers.received == fresh && numbers.lost() <= numbers.highest - numbers.first);
        }
    }
}
