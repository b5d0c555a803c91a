//! What has been seen of a numbered sequence: a track may come over two ways at once while it changes from one to the other,
//! and each packet must go on once.

use crate::sfu::once::Once;

/// A jump that no loss explains: the sequence began anew.
const RESTART: u64 = 60_000;

/// The numbers that were seen: those of [`Once`], for a sequence that may begin anew.
#[derive(Clone, Debug, Default)]
pub struct Window(Once);

impl Window {
    /// The highest number that was seen.
    pub fn highest(&self) -> Option<u64> {
        self.0.highest()
    }

    /// Whether the number is new. What is too old to tell counts as seen.
    pub fn take(&mut self, number: u64) -> bool {
        if self.highest().is_some_and(|highest| number.abs_diff(highest) > RESTART) {
            self.0 = Once::default();
        }
        self.0.take(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_sequence_that_begins_anew_is_followed() {
        let mut window = Window::default();
        assert!(window.take(500_000) && window.take(7) && !window.take(7) && window.take(8));
    }
}
