use super::*;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

/// A sender of 1,200-byte packets over a line without a queue.
struct Sender {
    controller: Controller,
    start: Instant,
    ms: u32,
    sequence: u16,
}

impl Sender {
    fn new() -> Self {
        let mut controller = Controller::new(Config::default());
        controller.set_desired(Rate::kbps(500));
        Self { controller, start: Instant::now(), ms: 0, sequence: 0 }
    }

    fn now(&self) -> Instant {
        self.start + MS * self.ms
    }

    /// Sends a packet every 20 ms (480 kb/s), with feedback after each fifth if there is any.
    fn run(&mut self, ms: u32, feedback: bool) {
        for _ in 0..ms / 100 {
            let first = self.sequence;
            let left = self.ms;
            for _ in 0..5 {
                self.controller.on_sent(self.now(), self.sequence, 1_200, None);
                self.sequence = self.sequence.wrapping_add(1);
                self.ms += 20;
            }
            if feedback {
                let arrivals =
                    (0..5u16).map(|n| (first.wrapping_add(n), Some(i64::from(left + u32::from(n) * 20) * 1_000)));
                self.controller.on_arrivals(self.start + MS * self.ms, arrivals);
            }
            self.controller.on_timeout(self.start + MS * self.ms);
        }
    }
}

#[test]
fn silence_lowers_the_target_and_feedback_ends_it() {
    let mut sender = Sender::new();
    sender.run(5_000, true);
    let before = sender.controller.target();
    sender.run(900, false);
    assert_eq!(sender.controller.target(), before, "not yet");
    sender.run(5_000, false);
    let silent = sender.controller.target();
    assert!(silent < before.scaled(0.3), "{silent:?} of {before:?}");
    let now = sender.now();
    assert_eq!(sender.controller.next_probe(now), None);
    sender.run(5_000, true);
    assert!(sender.controller.target() > silent, "{:?}", sender.controller.target());
}

#[test]
fn a_client_that_is_sent_nothing_keeps_its_target() {
    let mut sender = Sender::new();
    sender.run(5_000, true);
    let before = sender.controller.target();
    for second in 1..60 {
        sender.controller.on_timeout(sender.now() + MS * 1_000 * second);
    }
    assert_eq!(sender.controller.target(), before);
}

#[test]
fn a_remb_bounds_and_is_the_estimate_where_there_is_nothing_else() {
    let now = Instant::now();
    let mut controller = Controller::new(Config::default());
    controller.on_remb(now, Rate::kbps(2_000));
    assert_eq!(controller.target(), Rate::kbps(2_000));
    let mut sender = Sender::new();
    sender.run(2_000, true);
    let target = sender.controller.target();
    let now = sender.now();
    sender.controller.on_remb(now, Rate::kbps(5_000));
    assert_eq!(sender.controller.target(), target, "it doesn't raise what feedback says");
    sender.controller.on_remb(now, Rate::kbps(200));
    assert_eq!(sender.controller.target(), Rate::kbps(200));
}

#[test]
fn reports_alone_raise_the_rate_and_random_loss_does_not_end_it() {
    for (loss, least) in [(0.0, 3_000), (0.08, 1_500)] {
        let start = Instant::now();
        let mut controller = Controller::new(Config::default());
        let mut now = start;
        for _ in 0..120 {
            for _ in 0..100 {
                now += MS * 10;
                let size = controller.target().bytes_in(MS * 10) as u16;
                controller.on_sent_unnumbered(now, size);
            }
            controller.on_report(now, loss, Some(MS * 80));
        }
        assert!(controller.target() > Rate::kbps(least), "loss {loss}: {:?}", controller.target());
    }
}

#[test]
fn feedback_as_on_the_wire_is_the_same_as_arrivals() {
    use super::super::feedback::{Header, write};
    let now = Instant::now();
    let mut controller = Controller::new(Config::default());
    for n in 0..50u16 {
        controller.on_sent(now + MS * u32::from(n) * 20, n, 1_200, None);
    }
    let arrivals: Vec<Option<i64>> = (0..50).map(|n| (n % 10 != 3).then_some(9_000_000_000 + n * 20_000)).collect();
    let mut bytes = vec![];
    write(&mut bytes, Header { sender: 1, media: 2, base: 0, number: 0 }, &arrivals).unwrap();
    controller.on_feedback(now + MS * 1_100, &Feedback::parse(&bytes).unwrap());
    let estimate = controller.estimate();
    assert_eq!(estimate.rtt, MS * 120);
    assert!(estimate.arriving.is_some());
}

proptest! {
    #[test]
    fn whatever_feedback_says_the_target_keeps_its_bounds(
        steps in proptest::collection::vec(
            (0u32..400, 0u16..1_500, any::<u16>(), proptest::option::of(any::<i32>()), any::<bool>()), 1..400),
    ) {
        let config = Config::default();
        let mut controller = Controller::new(config);
        let mut now = Instant::now();
        let mut sequence = 65_000u16;
        for (ms, size, back, arrival, probe) in steps {
            now += MS * ms;
            let cluster = if probe { controller.next_probe(now).map(|cluster| cluster.id) } else { None };
            sequence = sequence.wrapping_add(1);
            controller.on_sent(now, sequence, size, cluster);
            let told = sequence.wrapping_sub(back % 64);
            let packets = (0..8u16).map(|n| (told.wrapping_add(n), arrival.map(|at| i64::from(at) * i64::from(n))));
            controller.on_arrivals(now + MS * 50, packets);
            controller.on_timeout(now + MS * 60);
            let target = controller.target();
            prop_assert!(target >= config.least && target <= config.most, "{target:?}");
            prop_assert!(controller.estimate().media <= target);
        }
    }
}
