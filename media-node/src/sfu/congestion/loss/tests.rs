use super::*;

/// A sender that always uses all it may, up to `most`, over a line that loses what `loss` says of its rate.
fn run(loss: impl Fn(f64) -> f64, most: u64, seconds: u64) -> (LossBased, Vec<f64>) {
    let start = Instant::now();
    let mut controller = LossBased::default();
    let mut rates = vec![];
    for step in 1..seconds * 2 {
        let now = start + Duration::from_millis(step * 500);
        let sent = controller.bound(now).unwrap_or(Rate::MAX).min(Rate::kbps(most));
        rates.push(sent.as_f64() / 1_000.0);
        let began = now;
        // What was lowered by the last window is sent in this one.
        let seen = Observation { began, sent, loss: loss(sent.as_f64() / 1_000.0), packets: 80 };
        controller.on_observation(now + Duration::from_millis(400), seen, FULL);
    }
    (controller, rates)
}

const FULL: Circumstances = Circumstances { limited: false, waits: Duration::ZERO };

fn mean(rates: &[f64]) -> f64 {
    rates.iter().sum::<f64>() / rates.len() as f64
}

#[test]
fn random_loss_costs_a_short_test_and_then_nothing() {
    for loss in [0.05, 0.1, 0.2, 0.4] {
        let (controller, rates) = run(|_| loss, 1_000, 60);
        assert!(mean(&rates) > 970.0, "{loss}: {}", mean(&rates));
        if loss > 0.08 {
            assert!((controller.baseline() - loss).abs() < 0.01, "{loss}: {}", controller.baseline());
        }
    }
}

#[test]
fn loss_that_the_rate_causes_bounds_it() {
    // A policer: what exceeds 600 kb/s is dropped, on top of 1 % at random.
    let policer = |kbps: f64| 1.0 - 0.99 * (600.0 / kbps).min(1.0);
    let (_, rates) = run(policer, 1_000, 60);
    let settled = &rates[10..];
    assert!((540.0..680.0).contains(&mean(settled)), "{}", mean(settled));
    assert!(settled.iter().filter(|kbps| **kbps > 700.0).count() < settled.len() / 10, "{settled:?}");
}

#[test]
fn a_sender_that_cannot_go_lower_is_set_free_again() {
    let start = Instant::now();
    let mut controller = LossBased::default();
    for step in 0..20 {
        let now = start + Duration::from_millis(step * 500);
        let seen = Observation { began: now, sent: Rate::kbps(100), loss: 0.25, packets: 40 };
        controller.on_observation(now, seen, FULL);
    }
    assert!(controller.bound(start + Duration::from_secs(10)).is_none());
    assert!((controller.baseline() - 0.25).abs() < 0.01);
}
