//! Who joins, and what each brings and wants.

use crate::{
    client::{
        Plan,
        address::{ClientId, Subnet},
        handshake::Credentials,
        publication::{self, Content},
    },
    generator::Generator,
    model::line::{Delay, Line, Loss},
    wire::sdp::{Description, Direction, Kind, Line as MediaLine, Numbers},
};
use rand::{Rng, distr::Alphanumeric};
use std::time::Instant;

/// Names of a simulcast's layers, the smallest first.
const RIDS: [&str; 3] = ["l", "m", "h"];

/// A published track.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Track {
    /// The source's number in the whole load.
    pub source: u32,
    /// The participant who publishes it.
    pub owner: u32,
    /// What it sends.
    pub content: Content,
}

/// A participant.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Participant {
    /// Its number in the whole load; not 0.
    pub number: u32,
    /// Its room.
    pub room: u32,
    /// What it publishes.
    pub publish: Vec<Track>,
    /// What it wants of others.
    pub subscribe: Vec<Track>,
}

/// Hands out what clients need.
pub struct Staff {
    next: u32,
    ports: Vec<u16>,
    subnet: Subnet,
    fingerprint: String,
    downlink: Loss,
}

/// A client to be: what its plan is made of, before the server has spoken.
pub struct Local {
    /// Its number.
    pub id: ClientId,
    /// When its joining began.
    pub begun: Instant,
    /// Its own description, without m-lines.
    pub description: Description,
}

impl Staff {
    /// For the clients of this generator; their lines lose on the way to them what `downlink` says.
    pub fn new(generator: &Generator, downlink: Loss) -> Self {
        let fingerprint = generator.identity().fingerprint();
        Self { next: 1, ports: generator.ports().to_vec(), subnet: generator.subnet(), fingerprint, downlink }
    }

    /// A new client, whose joining begins now.
    pub fn client(&mut self) -> Local {
        let id = ClientId(self.next);
        self.next += 1;
        let word = |len| rand::rng().sample_iter(Alphanumeric).take(len).map(char::from).collect::<String>();
        let description = Description {
            ufrag: word(8),
            password: word(24),
            fingerprint: self.fingerprint.clone(),
            candidate: Some(self.subnet.address(id, &self.ports)),
            lines: Vec::new(),
        };
        Local { id, begun: Instant::now(), description }
    }

    /// The plan of a client that has both descriptions. `publish` are the publications, `lines` what the server sends.
    pub fn plan(
        &self,
        local: &Local,
        remote: Description,
        publish: Vec<publication::Plan>,
        subscribe: &[Track],
    ) -> Option<Plan> {
        Some(Plan {
            id: local.id,
            begun: local.begun,
            remote: remote.candidate?,
            credentials: Credentials::new(&local.description, &remote),
            publish,
            lines: remote.lines.into_iter().filter(|line| line.direction == Direction::Send).collect(),
            subscribe: subscribe.iter().map(|track| track.source).collect(),
            downlink: Line::new(self.downlink, Delay::default()),
            path: None,
            watch: None,
        })
    }
}

impl Local {
    /// An m-line for an offer, the next one.
    pub fn offer(&mut self, kind: Kind, direction: Direction, ssrcs: Vec<u32>) {
        let mid = self.description.lines.len().to_string();
        let numbers = Numbers::ours(kind);
        // Layers are named only where there are some.
        let numbers = Numbers { rid: 0, repaired: 0, ..numbers };
        self.description.lines.push(MediaLine { mid, kind, direction, numbers, ssrcs, layers: Vec::new() });
    }

    /// Offers a track; returns its publications, one per layer, which go by the numbers of the offer.
    pub fn publish(&mut self, track: &Track) -> Vec<publication::Plan> {
        let kind = track.content.kind();
        // Even and odd neighbours, unique in the whole load.
        let ssrcs = |source: u32| [0x1000_0000 + 2 * source, 0x1000_0001 + 2 * source];
        let told = match track.content {
            Content::Video(_) => ssrcs(track.source).to_vec(),
            Content::Audio(_) => ssrcs(track.source).into_iter().take(1).collect(),
            Content::Simulcast(_) => Vec::new(),
        };
        self.offer(kind, Direction::Send, told);
        let Some(line) = self.description.lines.last_mut() else { return Vec::new() };
        let mut plan = publication::Plan {
            source: track.source,
            content: track.content,
            mid: line.mid.clone(),
            rid: String::new(),
            ssrcs: ssrcs(track.source),
            numbers: line.numbers,
        };
        let Content::Simulcast(layers) = track.content else { return vec![plan] };
        line.numbers = Numbers::ours(kind);
        line.layers = RIDS.map(String::from).to_vec();
        plan.numbers = line.numbers;
        let sources = track.source..;
        let named = sources.zip(layers).zip(RIDS).map(|((source, video), rid)| publication::Plan {
            source,
            content: Content::Video(video),
            rid: rid.into(),
            ssrcs: ssrcs(source),
            ..plan.clone()
        });
        named.collect()
    }
}

/// What of the offered numbers the answer took: an extension that the server doesn't know isn't sent.
pub fn accepted(mut plan: publication::Plan, answer: &Description) -> publication::Plan {
    if let Some(line) = answer.lines.iter().find(|line| line.mid == plan.mid) {
        let theirs = line.numbers;
        let keep = |ours: u8, theirs: u8| if theirs == 0 { 0 } else { ours };
        let ours = plan.numbers;
        plan.numbers = Numbers {
            payload_type: ours.payload_type,
            rtx: keep(ours.rtx, theirs.rtx),
            transport: keep(ours.transport, theirs.transport),
            mid: keep(ours.mid, theirs.mid),
            rid: keep(ours.rid, theirs.rid),
            repaired: keep(ours.repaired, theirs.repaired),
            level: keep(ours.level, theirs.level),
        };
    }
    plan
}
