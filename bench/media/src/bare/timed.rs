//! The bare loop held to the limits that servers are held to. A loop that never waits has no delays; what a server may take of its core is bounded by them,
//! most of all where one frame goes to hundreds: all of it has to leave within 5 ms of every 33. So this loop gets a scenario's frames when they are
//! due, sends each to all who receive it, in order, and the greatest load is looked for at which its 99th percentile stays within the limit.

use super::{
    BareError,
    sending::{Receiver, Sending, Stream},
};
use crate::{
    client::{address::Subnet, publication::Content},
    model::{
        audio::{self, AudioSource},
        delay::Delays,
        video::VideoSource,
    },
    scenario::{Cast, Scenario, Shape},
    search::Search,
    window,
    wire::srtp::Profile,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::{Duration, Instant},
};

/// Time before a window in which nothing counts: caches fill.
const SETTLE: Duration = Duration::from_millis(300);
/// Sources have sent for so long when a window begins, so that their key frames come when they would.
const BEFORE: Duration = Duration::from_secs(10);
/// Windows of a size of which one has to be within the limits, as servers have them.
const TRIES: u8 = 2;

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The receivers' addresses.
    pub subnet: Subnet,
    /// Ports of the sink.
    pub ports: Vec<u16>,
    /// The scenario, and its numbers.
    pub of: Scenario,
    /// Numbers of the scenarios.
    pub shape: Shape,
    /// The size to begin with: what a server carried.
    pub size: u32,
    /// By what sizes grow until one fails.
    pub growth: f64,
    /// How long a window is.
    pub time: Duration,
    /// The protection.
    pub profile: Profile,
    /// Randomness begins with this.
    pub seed: u64,
}

/// The greatest load that the loop carried within the limits.
#[derive(Clone, Copy, PartialEq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Carried {
    /// Size of the scenario; 0 if it carried none.
    pub size: u32,
    /// Packets a second that the kernel took.
    pub per_second: f64,
    /// Share that it didn't take.
    pub loss: f64,
    /// Delay that half of the packets don't exceed, from when their frame is due to when they were handed to the kernel, in milliseconds.
    pub delay_p50_ms: f64,
    /// Delay that 99 of 100 don't exceed.
    pub delay_p99_ms: f64,
    /// Share of the time that the loop had something to send.
    pub busy: f64,
    /// Packets of all windows, for whoever counts what arrived.
    pub packets: u64,
}

impl Carried {
    fn is_good(&self) -> bool {
        window::is_within_limits(self.loss, self.delay_p99_ms)
    }
}

/// Looks for it.
pub fn run(plan: &Plan) -> Result<Carried, BareError> {
    let (_, most) = plan.of.sizes();
    let mut search = Search::new(plan.size, plan.growth, most);
    let (mut best, mut packets) = (Carried::default(), 0);
    while let Some(size) = search.next() {
        let mut is_good = false;
        for _ in 0..TRIES {
            let carried = measure(plan, size)?;
            packets += carried.packets;
            is_good = carried.is_good();
            if is_good {
                if carried.per_second > best.per_second {
                    best = carried;
                }
                break;
            }
        }
        // A size that a server carried may be too much for one moment of this: then the search goes down by itself.
        search.tell(is_good);
    }
    Ok(Carried { packets, ..best })
}

/// A source with its receivers.
struct Source {
    model: Model,
    streams: Vec<(usize, Stream)>,
}

enum Model {
    Video(VideoSource),
    Audio(AudioSource),
}

impl Source {
    /// One that has sent for some time at [`BEFORE`].
    fn new(content: Content, random: &mut impl Rng) -> Self {
        let mut model = match content {
            Content::Video(video) | Content::Simulcast([video, ..]) => {
                Model::Video(VideoSource::new(video, BEFORE.mul_f64(random.random())))
            }
            Content::Audio(sound) => {
                Model::Audio(AudioSource::new(sound, BEFORE - audio::FRAME.mul_f64(random.random())))
            }
        };
        while model.due() < BEFORE {
            model.next(random);
        }
        Self { model, streams: Vec::new() }
    }
}

impl Model {
    fn due(&self) -> Duration {
        match self {
            Model::Video(source) => source.due(),
            Model::Audio(source) => source.due(),
        }
    }

    /// The payload sizes of what is due next, which may be nothing.
    fn next(&mut self, random: &mut impl Rng) -> Vec<usize> {
        let due = self.due();
        match self {
            Model::Video(source) => source.poll(due, random).into_iter().flat_map(|frame| frame.payloads()).collect(),
            Model::Audio(source) => source.poll(due, random).into_iter().map(|sound| sound.bytes).collect(),
        }
    }
}

/// The sources of a cast that send, and how many receive anything.
fn sources(cast: &Cast, random: &mut impl Rng) -> (Vec<Source>, u32) {
    let mut sources = Vec::new();
    let mut places = HashMap::new();
    for track in cast.participants.iter().flat_map(|one| &one.publish) {
        if cast.active.contains(&track.source) {
            places.insert(track.source, sources.len());
            sources.push(Source::new(track.content, random));
        }
    }
    let mut receivers = 0u32;
    let mut ssrc = 0;
    for receiver in cast.participants.iter().filter(|one| !one.subscribe.is_empty()) {
        for track in &receiver.subscribe {
            let source = places.get(&track.source).and_then(|place| sources.get_mut(*place));
            if let Some(source) = source {
                ssrc += 1;
                source.streams.push((receivers as usize, Stream::new(ssrc)));
            }
        }
        receivers += 1;
    }
    (sources, receivers)
}

/// One window of a size.
fn measure(plan: &Plan, size: u32) -> Result<Carried, BareError> {
    let mut random = StdRng::seed_from_u64(plan.seed);
    let (mut sources, count) = sources(&plan.of.cast(&plan.shape, size), &mut random);
    let mut receivers = Vec::with_capacity(count as usize);
    for number in 0..count {
        receivers.push(Receiver::new(number, plan.subnet, &plan.ports, plan.profile)?);
    }
    let mut timetable: BinaryHeap<Reverse<(Duration, usize)>> =
        sources.iter().enumerate().map(|(place, source)| Reverse((source.model.due(), place))).collect();
    let mut sending = Sending::new()?;
    let mut delays = Delays::default();
    let (counts_from, end) = (BEFORE + SETTLE, BEFORE + SETTLE + plan.time);
    let (mut idle, mut before) = (Duration::ZERO, (0, 0));
    let begun = Instant::now();
    let now = || BEFORE + begun.elapsed();
    while let Some(Reverse((due, place))) = timetable.pop() {
        if due >= end {
            break;
        }
        // It waits without sleeping: whoever sleeps is late by what it takes to wake.
        let waits_from = now();
        while now() < due {
            std::hint::spin_loop();
        }
        if due >= counts_from {
            idle += due.saturating_sub(waits_from);
        } else {
            before = (sending.packets, sending.refused);
        }
        let Some(source) = sources.get_mut(place) else { continue };
        let sizes = source.model.next(&mut random);
        let timestamp = (due.as_micros() as u64 * 9 / 100) as u32;
        for (receiver, stream) in &mut source.streams {
            let Some(receiver) = receivers.get(*receiver) else { continue };
            sending.burst(receiver, stream, timestamp, &sizes)?;
            if due >= counts_from {
                let delay = now().saturating_sub(due);
                sizes.iter().for_each(|_| delays.add(delay));
            }
        }
        timetable.push(Reverse((source.model.due(), place)));
    }
    let seconds = now().saturating_sub(counts_from).max(plan.time).as_secs_f64();
    let (taken, refused) = (sending.packets - before.0, sending.refused - before.1);
    let quantile = |share| delays.quantile(share).map_or(0.0, |delay| delay.as_secs_f64() * 1e3);
    Ok(Carried {
        size,
        per_second: taken as f64 / seconds,
        loss: refused as f64 / (taken + refused).max(1) as f64,
        delay_p50_ms: quantile(0.5),
        delay_p99_ms: quantile(0.99),
        busy: 1.0 - idle.as_secs_f64() / seconds,
        packets: sending.packets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bare::sink, sockets::Sockets};

    #[test]
    fn each_source_goes_to_those_who_receive_it_and_to_nobody_else() {
        let mut random = StdRng::seed_from_u64(1);
        let shape = Shape::default();
        let parts = |scenario: Scenario, size, random: &mut StdRng| {
            let (sources, receivers) = sources(&scenario.cast(&shape, size), random);
            (sources.iter().map(|source| source.streams.len()).collect::<Vec<_>>(), receivers)
        };
        assert_eq!(parts(Scenario::Rooms, 60, &mut random), (vec![25, 25, 10], 60));
        assert_eq!(parts(Scenario::FanOut, 600, &mut random), (vec![500, 100], 600));
        assert_eq!(parts(Scenario::Audio, 6, &mut random), (vec![500, 500], 500), "two of eight speak");
        assert_eq!(parts(Scenario::Mesh, 2, &mut random), (vec![9; 40], 20), "sound and video of each");
    }

    #[test]
    fn sources_come_at_their_own_times_with_key_frames_among_them() {
        let mut random = StdRng::seed_from_u64(1);
        let shape = Shape::default();
        let (mut sources, _) = sources(&Scenario::Rooms.cast(&shape, 500), &mut random);
        let mut keys = 0;
        for source in &mut sources {
            assert!(source.model.due() >= BEFORE && source.model.due() < BEFORE + Duration::from_millis(34));
            for _ in 0..30 {
                keys += usize::from(source.model.next(&mut random).len() > 20);
            }
            assert!(
                (BEFORE + Duration::from_millis(999)..BEFORE + Duration::from_millis(1_034))
                    .contains(&source.model.due())
            );
        }
        assert!((1..=5).contains(&keys), "of twenty, each once in ten seconds: {keys}");
    }

    #[test]
    fn what_is_due_is_sent_and_arrives() {
        let mut sockets = Sockets::open(2, Subnet::LOOPBACK, Instant::now(), Default::default(), 1).unwrap();
        let plan = Plan {
            subnet: Subnet::LOOPBACK,
            ports: sockets.ports().unwrap(),
            of: Scenario::Audio,
            shape: Shape::default(),
            size: 1,
            growth: 1.5,
            time: Duration::from_millis(100),
            profile: Profile::Gcm128,
            seed: 1,
        };
        let carried = measure(&plan, 1).unwrap();
        // A packet each 20 ms to a hundred, with what comes before it counts.
        assert_eq!((carried.size, carried.loss, carried.packets), (1, 0.0, 2_000), "{carried:?}");
        let mut turns = 0;
        let came = sink(&mut sockets, || {
            turns += 1;
            turns < 10
        });
        assert_eq!(came.unwrap(), carried.packets);
    }
}
