//! Fuzz targets: one for each parser that reads what the network, clients or other nodes send, and one for a whole connection.
//!
//! A target takes any bytes, and must neither panic nor break what it asserts. `cargo test` runs each on broken copies of its seeds;
//! `make fuzz` has libFuzzer look for more, guided by coverage (docs/testing.md).
#![allow(clippy::panic, reason = "a target says so when something is wrong")]

mod assembly;
mod connection;
mod frames;
mod media;
mod mutation;
mod packets;
mod pipes;
mod reports;
mod sdp;
mod signalling;
mod stun;

pub use mutation::mutate;

/// A fuzz target.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Runs it on an input.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: [Target; 11] = [
    Target { name: "frames", run: frames::run, seeds: frames::seeds },
    Target { name: "stun", run: stun::run, seeds: stun::seeds },
    Target { name: "sdp", run: sdp::run, seeds: sdp::seeds },
    Target { name: "packets", run: packets::run, seeds: packets::seeds },
    Target { name: "reports", run: reports::run, seeds: reports::seeds },
    Target { name: "payloads", run: media::payloads, seeds: media::payload_seeds },
    Target { name: "descriptors", run: media::descriptors, seeds: media::descriptor_seeds },
    Target { name: "assembly", run: assembly::run, seeds: assembly::seeds },
    Target { name: "pipes", run: pipes::run, seeds: pipes::seeds },
    Target { name: "signalling", run: signalling::run, seeds: signalling::seeds },
    Target { name: "connection", run: connection::run, seeds: connection::seeds },
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    /// Runs a target on its seeds, broken copies of them, and bytes without any sense.
    fn try_out(name: &str, times: usize) {
        let target = target(name).unwrap();
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty());
        seeds.iter().for_each(|seed| (target.run)(seed));
        let mut random = StdRng::seed_from_u64(1);
        for _ in 0..times {
            let mut input = seeds[random.random_range(0..seeds.len())].clone();
            for _ in 0..random.random_range(1..5) {
                mutate(&mut input, &mut random);
            }
            (target.run)(&input);
            let noise: Vec<u8> = (0..random.random_range(0..300)).map(|_| random.random()).collect();
            (target.run)(&noise);
        }
    }

    macro_rules! tries {
        ($($name:ident $times:literal)*) => { $(#[test] fn $name() { try_out(stringify!($name), $times); })* };
    }

    tries! { frames 20_000 stun 20_000 sdp 3_000 packets 20_000 reports 20_000 payloads 20_000 descriptors 20_000 assembly 20_000 pipes 20_000 signalling 10_000 connection 300 }

    #[test]
    fn each_target_has_its_test() {
        assert_eq!(TARGETS.len(), 11);
    }
}
