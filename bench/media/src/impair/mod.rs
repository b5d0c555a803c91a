//! Quality under impairment: one publishes a simulcast, two receive it; one of them lives behind a line that loses, delays, and gets narrow for
//! a while. What each can show, and when, is what is measured.

pub mod condition;
pub mod figures;
pub mod round;
pub mod table;

use crate::{
    client::{News, Plan, address::ClientId, publication::Content, watch},
    generator::{Generator, Gone, Observed},
    lab::LabError,
    machine,
    model::video::Video,
    namespace::NamespaceError,
    netem::Lines,
    path,
    rising::Silent,
    sfu::{
        Sfu, SfuError,
        participant::{Participant, Staff, Track},
    },
};
use condition::Condition;
use figures::{Figures, Other};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The publisher's layers, the smallest first. Key frames are sent when asked for, as browsers do.
const fn layers(top_kbps: u32) -> [Video; 3] {
    [layer(150, 180), layer(500, 360), layer(top_kbps, 720)]
}
/// The top one's number.
pub const TOP: u8 = 2;
/// Longest wait for a connection.
const PATIENCE: Duration = Duration::from_secs(40);

const fn layer(kbps: u32, height: u16) -> Video {
    Video { kbps, fps: 30, height, key_every: Duration::from_secs(86_400) }
}

/// What one condition showed on one server.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Row {
    /// The condition.
    pub condition: Condition,
    /// Whether its line was the kernel's.
    pub netem: bool,
    /// The server and its version.
    pub server: String,
    /// From its joining to ICE and DTLS being up, in seconds; `None`: it didn't come up.
    pub up_s: Option<f64>,
    /// What the one behind the line saw; `None` where there was none or it didn't come up.
    pub impaired: Option<Figures>,
    /// What the other receiver in the room saw meanwhile.
    pub other: Other,
    /// Load average of the machine.
    pub load: f64,
}

/// Why conditions can't be measured.
#[derive(Debug, thiserror::Error)]
pub enum ImpairError {
    /// Server or clients.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// The server.
    #[error(transparent)]
    Sfu(#[from] SfuError),
    /// The generator.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// The kernel's lines.
    #[error("{0} (netem needs root and a kernel with sch_netem and sch_tbf; scripts/netem.sh has one)")]
    Line(#[from] NamespaceError),
}

struct Room {
    condition: Condition,
    impaired: Option<ClientId>,
    other: ClientId,
}

/// Measures conditions on one server, a room each, all at the same time. The lines are the generator's model, or the kernel's if those are given.
pub fn run(
    conditions: &[Condition],
    sfu: &mut dyn Sfu,
    generator: &Generator,
    mut staff: Staff,
    lines: Option<Lines>,
) -> Result<Vec<Row>, ImpairError> {
    let mut up = Attendance::new(generator, lines);
    let mut rooms = Vec::new();
    for (index, condition) in conditions.iter().enumerate() {
        let cast = cast(index as u32, condition);
        let plan = sfu.enter(&mut staff, &cast.publisher)?;
        up.join(plan, true)?;
        (0..cast.track.content.sources()).try_for_each(|layer| generator.activate(cast.track.source + layer, true))?;
    }
    // Janus knows no feed before its publisher is up.
    up.settle()?;
    for (index, condition) in conditions.iter().enumerate() {
        let cast = cast(index as u32, condition);
        let watched = |plan: Option<Plan>, rtt| {
            let watch = Some(watch::Plan { source: cast.track.source, rtt });
            plan.map(|plan| Plan { watch, ..plan })
        };
        let plan = watched(connect(sfu, &mut staff, &cast.other)?, Duration::ZERO);
        let Some(other) = up.join(plan, true)? else { continue };
        let mut impaired = None;
        if let Some(path) = condition.path() {
            let plan = watched(connect(sfu, &mut staff, &cast.impaired)?, condition.rtt());
            impaired = up.join_behind(path, plan)?;
        }
        rooms.push(Room { condition: condition.clone(), impaired, other });
        // The kernel's lines take a while to be laid, and those that are there have their schedule.
        up.hear(Instant::now())?;
    }
    let length = conditions.iter().map(Condition::length).max().unwrap_or_default();
    let end = Instant::now() + length;
    // What comes meanwhile is only how long joining took.
    while Instant::now() < end {
        up.hear(end)?;
    }
    rooms.iter().map(|room| up.row(room, sfu.version())).collect()
}

/// A receiver asks for the track in whichever way the server wants it.
fn connect(sfu: &mut dyn Sfu, staff: &mut Staff, participant: &Participant) -> Result<Option<Plan>, SfuError> {
    let entered = sfu.enter(staff, participant)?;
    let attended = sfu.attend(staff, participant)?;
    Ok(entered.or(attended))
}

struct Cast {
    track: Track,
    publisher: Participant,
    impaired: Participant,
    other: Participant,
}

/// Who is in a room.
fn cast(index: u32, condition: &Condition) -> Cast {
    let (room, first) = (index + 1, 3 * index + 1);
    let track = Track { source: first, owner: first, content: Content::Simulcast(layers(condition.top_kbps)) };
    let receiver = |number| Participant { number, room, publish: Vec::new(), subscribe: vec![track] };
    Cast {
        track,
        publisher: Participant { number: first, room, publish: vec![track], subscribe: Vec::new() },
        impaired: receiver(first + 1),
        other: receiver(first + 2),
    }
}

/// Who attends, how long joining took each, and the lines that they are behind.
struct Attendance<'a> {
    generator: &'a Generator,
    /// How long each took; those that must come up are `true` until they did.
    joined: BTreeMap<ClientId, (bool, Option<Duration>)>,
    /// The kernel's lines; `None`: the generator's own.
    lines: Option<Lines>,
}

impl<'a> Attendance<'a> {
    fn new(generator: &'a Generator, lines: Option<Lines>) -> Self {
        Self { generator, joined: BTreeMap::new(), lines }
    }

    /// Has a client join from behind a line.
    fn join_behind(&mut self, path: path::Plan, plan: Option<Plan>) -> Result<Option<ClientId>, ImpairError> {
        let Some(mut plan) = plan else { return Ok(None) };
        match &mut self.lines {
            Some(lines) => plan.begun = lines.add(plan.id, &path)?,
            None => plan.path = Some(path),
        }
        Ok(self.join(Some(plan), false)?)
    }

    fn join(&mut self, plan: Option<Plan>, must: bool) -> Result<Option<ClientId>, Gone> {
        let Some(plan) = plan else { return Ok(None) };
        let id = plan.id;
        self.joined.insert(id, (must, None));
        self.generator.join(plan)?;
        Ok(Some(id))
    }

    /// Waits for news until a time at most, or until a line's rate changes.
    fn hear(&mut self, until: Instant) -> Result<(), ImpairError> {
        let step = self.lines.as_ref().and_then(Lines::due);
        let until = step.map_or(until, |step| step.min(until));
        let news = self.generator.news(until.saturating_duration_since(Instant::now()));
        if let Some(lines) = &mut self.lines {
            lines.turn(Instant::now())?;
        }
        match news {
            Some((id, News::Up(took))) => drop(self.joined.insert(id, (false, Some(took)))),
            Some((_, News::Media(_))) | None => {}
            Some((id, news)) if self.joined.get(&id).is_some_and(|(must, _)| *must) => {
                return Err(LabError::Failed(id, news).into());
            }
            // Behind its line it may fail: that is a result.
            Some((id, news)) => eprintln!("client {id:?} behind its line: {news:?}"),
        }
        Ok(())
    }

    /// Waits until all that must have come up.
    fn settle(&mut self) -> Result<(), ImpairError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rising = self.joined.values().filter(|(must, _)| *must).count();
            if rising == 0 {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(LabError::Silent(Silent(rising)).into());
            }
            self.hear(deadline)?;
        }
    }

    /// What was noted of a client, with what its line did.
    fn observed(&self, id: ClientId) -> Result<Option<Observed>, ImpairError> {
        let Some(observed) = self.generator.observe(id)? else { return Ok(None) };
        let Some(lines) = &self.lines else { return Ok(Some(observed)) };
        Ok(Some(Observed { traffic: lines.traffic(id)?, ..observed }))
    }

    fn row(&self, room: &Room, server: &str) -> Result<Row, ImpairError> {
        let up = |id: ClientId| self.joined.get(&id).and_then(|(_, took)| *took);
        let condition = &room.condition;
        let impaired = match room.impaired {
            Some(id) if up(id).is_some() => self.observed(id)?.map(|observed| Figures::new(condition, &observed)),
            _ => None,
        };
        let other = self
            .generator
            .observe(room.other)?
            .map(|observed| Other::new(condition, &observed.timeline))
            .unwrap_or_default();
        Ok(Row {
            condition: condition.clone(),
            netem: self.lines.is_some(),
            server: server.to_owned(),
            up_s: room.impaired.and_then(up).map(|took| took.as_secs_f64()),
            impaired,
            other,
            load: machine::load(),
        })
    }
}
