//! All conditions on a server, some at a time.

use super::{
    Row,
    condition::{Condition, Line},
};
use crate::{
    generator::Generator,
    netem::Lines,
    options::{self, Options, Server},
    run::{server_name, setup, start},
    sfu::participant::Staff,
};
use anyhow::Result;
use std::time::Duration;

/// Measures what can be seen behind bad lines on a server. Whether all went well.
pub fn measure(options: &Options, task: &options::Impair, server: Server, mut row: impl FnMut(Row)) -> bool {
    let conditions = conditions(options, task);
    let mut well = true;
    for (part, conditions) in conditions.chunks(task.at_once.into()).enumerate() {
        eprintln!("{}: part {}, {} conditions", server_name(server), part + 1, conditions.len());
        match at_once(options, task, server, conditions) {
            Ok(rows) => rows.into_iter().for_each(&mut row),
            Err(error) => {
                eprintln!("{}: {error:#}", server_name(server));
                well = false;
            }
        }
    }
    well
}

/// Every loss with every round trip, and a room without a bad line.
fn conditions(options: &Options, task: &options::Impair) -> Vec<Condition> {
    let phase = Duration::from_secs(task.phase);
    let jitter = Duration::from_millis(task.jitter);
    let lines = task.rtt.iter().flat_map(|rtt| {
        task.loss.iter().map(|percent| Line {
            loss: options.load.loss(percent / 100.0),
            loss_percent: *percent,
            rtt: Duration::from_millis(*rtt),
            jitter,
        })
    });
    std::iter::once(None)
        .chain(lines.map(Some))
        .map(|line| Condition { line, phase, top_kbps: task.top_kbps })
        .collect()
}

fn at_once(options: &Options, task: &options::Impair, server: Server, conditions: &[Condition]) -> Result<Vec<Row>> {
    let generator = Generator::start(&setup(options))?;
    let staff = Staff::new(&generator, options.load.downlink());
    let mut sfu = start(options, server, &generator)?;
    let lines = task.netem.then(|| Lines::new(generator.subnet()));
    Ok(super::run(conditions, sfu.as_mut(), &generator, staff, lines)?)
}
