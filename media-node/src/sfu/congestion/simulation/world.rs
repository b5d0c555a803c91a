//! All together: flows that share a link, and what is seen of them.

use super::{
    super::{Config, Rate},
    Flow, Line, Link, Load, Losing, Loss, Message, Parcel, Pictures, Receiver, Reno, reno,
};
use std::{
    collections::VecDeque,
    ops::Range,
    time::{Duration, Instant},
};

/// What is seen of a flow every 100 ms.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// In milliseconds from the start.
    pub at: u64,
    /// The controller's target.
    pub target: Rate,
    /// The layer that flows.
    pub layer: usize,
    /// Bytes that left the bottleneck until now.
    pub carried: u64,
}

/// A link with flows over it.
#[derive(Debug)]
pub struct World {
    start: Instant,
    ms: u64,
    link: Link<(u64, Load)>,
    /// The node's sides.
    pub flows: Vec<Flow>,
    /// The clients.
    pub receivers: Vec<Receiver>,
    arriving: VecDeque<(u64, Parcel<(u64, Load)>)>,
    returning: VecDeque<(u64, usize, Message)>,
    losing_back: Losing,
    /// A download that shares the link.
    pub download: Option<Reno>,
    acknowledgements: VecDeque<(u64, u64, u64)>,
    last_acknowledged: u64,
    /// When each flow begins, in milliseconds.
    pub begins: Vec<u64>,
    /// Every 100 ms, by flow.
    pub samples: Vec<Vec<Sample>>,
    /// How long the link's queue was, each millisecond.
    pub queue: Vec<Duration>,
}

impl World {
    /// A link and the flows that use it from the start.
    pub fn new(line: Line, flows: Vec<Pictures>, seed: u64) -> Self {
        let start = Instant::now();
        let count = flows.len();
        let losing_back =
            Losing::new(if let Loss::Even(share) = line.loss { Loss::Even(share) } else { Loss::None }, seed);
        let flows: Vec<Flow> = flows
            .into_iter()
            .enumerate()
            .map(|(n, pictures)| Flow::new(start, Config::default(), pictures, seed + n as u64))
            .collect();
        Self {
            start,
            ms: 0,
            link: Link::new(line, count + 1, seed),
            flows,
            receivers: (0..count).map(|_| Receiver::default()).collect(),
            arriving: VecDeque::new(),
            returning: VecDeque::new(),
            losing_back,
            download: None,
            acknowledgements: VecDeque::new(),
            last_acknowledged: 0,
            begins: vec![0; count],
            samples: vec![vec![]; count],
            queue: vec![],
        }
    }

    /// Lets time pass until `until_ms`.
    pub fn run(&mut self, until_ms: u64) {
        while self.ms < until_ms {
            self.tick();
        }
    }

    fn tick(&mut self) {
        let (ms, now_us) = (self.ms, self.ms * 1_000);
        let now = self.start + Duration::from_millis(ms);
        let back = self.link.line().propagation.as_micros() as u64;
        while let Some((_, flow, message)) = self.returning.pop_front_if(|(at, ..)| *at <= now_us) {
            self.flows[flow].on_message(now, ms, message);
        }
        for (n, flow) in self.flows.iter_mut().enumerate().filter(|(n, _)| self.begins[*n] <= ms) {
            flow.tick(now, ms, |sequence, size, load| {
                self.link.push(now_us, Parcel { flow: Some(n), size, load: (sequence, load) });
            });
        }
        self.share(now_us);
        self.link.run(now_us + 1_000, |at, parcel| self.arriving.push_back((at, parcel)));
        while let Some((at, parcel)) = self.arriving.pop_front_if(|(at, _)| *at <= now_us) {
            let (sequence, load) = parcel.load;
            let Some(flow) = parcel.flow else { continue };
            if let Some(receiver) = self.receivers.get_mut(flow) {
                receiver.on_packet(at, sequence, load);
            } else if let Some(download) = &mut self.download {
                let lost = download.arrives(sequence);
                self.acknowledgements.push_back((at + back, sequence, lost));
            }
        }
        for (n, receiver) in self.receivers.iter_mut().enumerate() {
            receiver.tick(ms, back * 2 / 1_000, |message| {
                if !self.losing_back.loses_next() {
                    self.returning.push_back((now_us + back, n, message));
                }
            });
        }
        self.queue.push(self.link.wait(now_us));
        if ms % 100 == 0 {
            for (n, flow) in self.flows.iter().enumerate() {
                let (target, layer, carried) = (flow.controller.target(), flow.source.layer(), self.link.carried[n]);
                self.samples[n].push(Sample { at: ms, target, layer, carried });
            }
        }
        self.ms += 1;
    }

    /// The download's turn.
    fn share(&mut self, now_us: u64) {
        let Some(download) = &mut self.download else { return };
        while let Some((at, number, lost)) = self.acknowledgements.pop_front_if(|(at, ..)| *at <= now_us) {
            self.last_acknowledged = at;
            download.acknowledged(number, lost);
        }
        if now_us.saturating_sub(self.last_acknowledged) > 1_000_000 {
            self.last_acknowledged = now_us;
            download.times_out();
        }
        while let Some(number) = download.send(self.ms) {
            let parcel = Parcel { flow: Some(self.flows.len()), size: reno::PACKET, load: (number, Load::Audio) };
            self.link.push(now_us, parcel);
        }
    }

    /// The share of the link's capacity that a flow filled, in a range of milliseconds (hundreds).
    pub fn utilisation(&self, flow: usize, range: Range<u64>) -> f64 {
        let capacity: u64 =
            range.clone().map(|ms| self.link.line().rate(ms * 1_000).bytes_in(Duration::from_millis(1))).sum();
        self.carried(flow, range) as f64 / capacity as f64
    }

    /// Bytes that a flow brought through the bottleneck in a range of milliseconds.
    pub fn carried(&self, flow: usize, range: Range<u64>) -> u64 {
        let at = |ms: u64| self.samples[flow][(ms / 100) as usize].carried;
        at(range.end.min(self.ms - 100)) - at(range.start)
    }

    /// The longest time without a new picture, in milliseconds.
    pub fn longest_gap(&self, flow: usize, range: Range<u64>) -> u64 {
        let shown = self.receivers[flow].shown.iter().copied().filter(|ms| range.contains(ms));
        let ends = std::iter::once(range.start).chain(shown).chain(std::iter::once(range.end.min(self.ms)));
        let ends: Vec<u64> = ends.collect();
        ends.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }

    /// When the target first was at least `rate` at or after `from`, in milliseconds.
    pub fn reaches(&self, flow: usize, from: u64, rate: Rate) -> Option<u64> {
        self.samples[flow].iter().find(|sample| sample.at >= from && sample.target >= rate).map(|sample| sample.at)
    }

    /// When this layer (or a higher one) first flowed at or after `from`, in milliseconds.
    pub fn shows_layer(&self, flow: usize, from: u64, layer: usize) -> Option<u64> {
        self.samples[flow].iter().find(|sample| sample.at >= from && sample.layer >= layer).map(|sample| sample.at)
    }

    /// The queue that was exceeded in so much of the time (0 to 1), in a range of milliseconds.
    pub fn queue(&self, share: f64, range: Range<u64>) -> Duration {
        let mut waits = self.queue[range.start as usize..(range.end as usize).min(self.queue.len())].to_vec();
        waits.sort_unstable();
        waits[((waits.len() - 1) as f64 * (1.0 - share)) as usize]
    }

    /// The lowest and mean target in a range of milliseconds, in kb/s.
    pub fn targets(&self, flow: usize, range: Range<u64>) -> (u32, u32) {
        let kbps: Vec<u32> = self.samples[flow]
            .iter()
            .filter(|sample| range.contains(&sample.at))
            .map(|sample| sample.target.as_kbps())
            .collect();
        (kbps.iter().copied().min().unwrap_or(0), kbps.iter().sum::<u32>() / (kbps.len() as u32).max(1))
    }
}
