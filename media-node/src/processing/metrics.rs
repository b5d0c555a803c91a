//! Figures for Prometheus, read when they are asked for.

use super::studio::{Studio, StudioFigures};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use std::{fmt, sync::Arc};

/// Names the studio's figures in `registry`.
pub fn register(registry: &mut Registry, studio: &Arc<Studio>) {
    registry.register_collector(Box::new(StudioCollector(studio.clone())));
}

struct StudioCollector(Arc<Studio>);

impl fmt::Debug for StudioCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StudioCollector").field(&self.0.figures()).finish()
    }
}

impl Collector for StudioCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let StudioFigures { jobs, reserved, budget, dropped, lost, late, faults, refused } = self.0.figures();
        let gauges = [
            ("jobs", "Mixes, recordings, bridges and thumbnails that run", jobs as f64),
            ("reserved_cores", "What they have reserved of the budget", f64::from(reserved) / 1_000.0),
            ("budget_cores", "What they may take together", f64::from(budget) / 1_000.0),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            let name = format!("chroom_media_processing_{name}");
            gauge.encode(encoder.encode_descriptor(&name, help, None, gauge.metric_type())?)?;
        }
        let counters = [
            ("packets_dropped", "Packets that came faster than they could be processed", dropped),
            ("results_lost", "What jobs made and media threads had no room for", lost),
            ("turns_skipped", "Turns that were left out because the thread was late", late),
            ("faults", "Jobs that failed", faults),
            ("refused", "Jobs that were refused for the budget", refused),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            let name = format!("chroom_media_processing_{name}");
            counter.encode(encoder.encode_descriptor(&name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}
