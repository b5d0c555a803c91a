//! The published sources of the whole load: when each packet was sent, and how many shall get it.

/// Packets of a source that are remembered: far more than what is ever on its way.
const REMEMBERED: usize = 4_096;

/// A source.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Clients that shall receive it.
    pub subscribers: u64,
    /// Whether it is to send.
    pub active: bool,
    sent: Vec<(u32, u64)>,
}

/// All sources, by their numbers.
#[derive(Debug, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// A source, made when first asked for.
    pub fn get_mut(&mut self, source: u32) -> Option<&mut Source> {
        let at = usize::try_from(source).ok().filter(|at| *at < 1 << 20)?;
        if self.0.len() <= at {
            self.0.resize(at + 1, Source::default());
        }
        self.0.get_mut(at)
    }

    /// Whether a source is to send.
    pub fn is_active(&self, source: u32) -> bool {
        self.0.get(source as usize).is_some_and(|source| source.active)
    }

    /// When a source sent a packet, in nanoseconds of the system's clock; `None` if it didn't or that is long ago.
    pub fn sent_at(&self, source: u32, number: u32) -> Option<u64> {
        let (there, at) = self.0.get(source as usize)?.sent.get(number as usize % REMEMBERED)?;
        (*there == number && *at > 0).then_some(*at)
    }
}

impl Source {
    /// Notes that a packet is sent; returns how many shall get it.
    pub fn send(&mut self, number: u32, at: u64) -> u64 {
        if self.sent.is_empty() {
            self.sent = vec![(0, 0); REMEMBERED];
        }
        if let Some(slot) = self.sent.get_mut(number as usize % REMEMBERED) {
            *slot = (number, at);
        }
        self.subscribers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_known_until_overwritten() {
        let mut sources = Sources::default();
        sources.get_mut(3).unwrap().subscribers = 2;
        for number in 0..5_000 {
            assert_eq!(sources.get_mut(3).unwrap().send(number, u64::from(number) + 1), 2);
        }
        assert_eq!(sources.sent_at(3, 4_999), Some(5_000));
        assert_eq!(sources.sent_at(3, 903), None);
        assert_eq!(sources.sent_at(3, 904), Some(905));
        assert_eq!(sources.sent_at(3, 5_000), None);
        assert_eq!(sources.sent_at(1, 0), None);
        assert!(sources.get_mut(u32::MAX).is_none());
    }
}
