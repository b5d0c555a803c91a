//! Hubs in simulated networks: delay, jitter, loss, dead nodes and partitions, in virtual time.

use super::*;
use crate::{
    cascade::{control, link::LocalTrack},
    sfu::{
        codec::{Codec, Format},
        id::{Mid, Rid},
        packet::{Channel, Packet},
    },
};
use bytes::BytesMut;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{cmp::Reverse, collections::BinaryHeap};

mod narrow;
mod properties;
mod trees;

/// Any Unix time in microseconds.
const EPOCH: u64 = 1_800_000_000_000_000;
const MS: Duration = Duration::from_millis(1);

#[derive(Clone, Copy)]
struct Line {
    delay: Duration,
    jitter: Duration,
    loss: f64,
    /// Bytes per second; what would wait longer than [`QUEUE`] is lost.
    rate: Option<u64>,
}

const CLEAN: Line = Line { delay: Duration::from_millis(20), jitter: Duration::ZERO, loss: 0.0, rate: None };
const QUEUE: Duration = Duration::from_millis(200);

enum Out {
    Dial(NodeId),
    HangUp(PeerKey),
    Control(PeerKey, Bytes),
    Datagram(PeerKey, Bytes),
    Room(ToRoom),
    Packet(RemotePacket),
    ParentLost(NodeId, Option<NodeId>),
    ParentPoor(NodeId),
}

#[derive(Default)]
struct Port(Vec<Out>);

impl Exits for Port {
    fn dial(&mut self, _: PeerKey, node: NodeId, _: SocketAddr) {
        self.0.push(Out::Dial(node));
    }
    fn hang_up(&mut self, peer: PeerKey, _: &str) {
        self.0.push(Out::HangUp(peer));
    }
    fn control(&mut self, peer: PeerKey, message: Bytes) {
        self.0.push(Out::Control(peer, message));
    }
    fn datagram(&mut self, peer: PeerKey, datagram: Bytes) {
        self.0.push(Out::Datagram(peer, datagram));
    }
    fn max_datagram(&self, _: PeerKey) -> usize {
        1_180
    }
    fn room(&mut self, order: ToRoom) {
        self.0.push(Out::Room(order));
    }
    fn parent_lost(&mut self, _: &RoomId, node: NodeId, standby: Option<NodeId>) {
        self.0.push(Out::ParentLost(node, standby));
    }
    fn parent_poor(&mut self, _: &RoomId, node: NodeId) {
        self.0.push(Out::ParentPoor(node));
    }
    fn place(&self, _: &RoomId) -> usize {
        0
    }
    fn packet(&mut self, _: usize, packet: RemotePacket) {
        self.0.push(Out::Packet(packet));
    }
}

enum Arriving {
    Connected { at: usize, from: usize, epoch: u64 },
    Lost { at: usize, from: usize },
    Control { at: usize, from: usize, epoch: u64, message: Bytes },
    Datagram { at: usize, from: usize, epoch: u64, datagram: Bytes },
}

struct Node {
    hub: Hub,
    alive: bool,
    taps: HashMap<TrackId, (Handle, u8)>,
    remote: HashMap<Handle, TrackId>,
    /// Tracks and layers that its clients want.
    wants: BTreeMap<TrackId, u8>,
    /// What its clients got: track, layer, sequence number, when.
    got: Vec<(TrackId, u8, u64, Instant)>,
    keyframes: Vec<(TrackId, u8)>,
    messages: Vec<Bytes>,
    parents_lost: Vec<(NodeId, Option<NodeId>)>,
    parents_poor: Vec<NodeId>,
    /// Whether its clients always take the highest layer.
    greedy: bool,
}

struct World {
    start: Instant,
    now: Instant,
    nodes: Vec<Node>,
    lines: HashMap<(usize, usize), Line>,
    cut: BTreeSet<(usize, usize)>,
    /// The live connection of each pair.
    connections: HashMap<(usize, usize), u64>,
    /// In-order delivery of the reliable streams.
    ordered: HashMap<(usize, usize), Instant>,
    queue: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    arriving: Slab<Arriving>,
    count: u64,
    rng: StdRng,
    /// Until when a narrow line has something to send.
    sending: HashMap<(usize, usize), Instant>,
    /// Media payload bytes per directed pair.
    crossed: HashMap<(usize, usize), u64>,
    next_tick: Instant,
}

fn id(node: usize) -> NodeId {
    NodeId([node as u8 + 1; 20])
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

fn room() -> RoomId {
    "room".parse().unwrap()
}

fn name(text: &str) -> TrackId {
    text.parse().unwrap()
}

const VP8: Format = Format::new(Codec::Vp8, 90_000);

impl World {
    fn new(nodes: usize, seed: u64) -> Self {
        let now = Instant::now();
        let node = |index| Node {
            hub: Hub::new(id(index), now, EPOCH),
            alive: true,
            taps: HashMap::new(),
            remote: HashMap::new(),
            wants: BTreeMap::new(),
            got: Vec::new(),
            keyframes: Vec::new(),
            messages: Vec::new(),
            parents_lost: Vec::new(),
            parents_poor: Vec::new(),
            greedy: false,
        };
        Self {
            start: now,
            now,
            nodes: (0..nodes).map(node).collect(),
            lines: HashMap::new(),
            cut: BTreeSet::new(),
            connections: HashMap::new(),
            ordered: HashMap::new(),
            queue: BinaryHeap::new(),
            arriving: Slab::new(),
            count: 0,
            rng: StdRng::seed_from_u64(seed),
            sending: HashMap::new(),
            crossed: HashMap::new(),
            next_tick: now,
        }
    }

    fn line(&self, a: usize, b: usize) -> Line {
        self.lines.get(&pair(a, b)).copied().unwrap_or(CLEAN)
    }

    fn passes(&self, a: usize, b: usize) -> bool {
        self.nodes[a].alive && self.nodes[b].alive && !self.cut.contains(&pair(a, b))
    }

    fn push(&mut self, at: Instant, arriving: Arriving) {
        self.count += 1;
        let key = self.arriving.insert(arriving);
        self.queue.push(Reverse((at, self.count, key)));
    }

    fn with(&mut self, node: usize, act: impl FnOnce(&mut Hub, Instant, &mut Port)) {
        if !self.nodes[node].alive {
            return;
        }
        let mut port = Port::default();
        act(&mut self.nodes[node].hub, self.now, &mut port);
        port.0.into_iter().for_each(|out| self.out(node, out));
    }

    fn peer(&self, node: usize, key: PeerKey) -> Option<usize> {
        self.nodes[node].hub.peers.get(key.0).map(|peer| usize::from(peer.node.0[0]) - 1)
    }

    fn key(&self, node: usize, other: usize) -> Option<PeerKey> {
        self.nodes[node].hub.by_node.get(&id(other)).copied()
    }

    fn out(&mut self, from: usize, out: Out) {
        match out {
            Out::Dial(node) => {
                let to = usize::from(node.0[0]) - 1;
                let delay = self.line(from, to).delay;
                if self.passes(from, to) {
                    self.count += 1;
                    let epoch = self.count;
                    self.connections.insert(pair(from, to), epoch);
                    self.push(self.now + delay * 2, Arriving::Connected { at: from, from: to, epoch });
                    self.push(self.now + delay * 3, Arriving::Connected { at: to, from, epoch });
                } else {
                    self.push(self.now + MS * 1_000, Arriving::Lost { at: from, from: to });
                }
            }
            Out::HangUp(peer) => {
                let Some(to) = self.peer(from, peer) else { return };
                self.connections.remove(&pair(from, to));
                if self.passes(from, to) {
                    self.push(self.now + self.line(from, to).delay, Arriving::Lost { at: to, from });
                }
            }
            Out::Control(peer, message) => {
                let Some(to) = self.peer(from, peer) else { return };
                let Some(epoch) = self.connections.get(&pair(from, to)).copied() else { return };
                let line = self.line(from, to);
                let mut at = self.now + line.delay;
                // A reliable stream turns losses into delay.
                while self.rng.random_bool(line.loss) {
                    at += line.delay * 2;
                }
                let at = at.max(self.ordered.get(&(from, to)).copied().unwrap_or(at));
                self.ordered.insert((from, to), at);
                self.push(at, Arriving::Control { at: to, from, epoch, message });
            }
            Out::Datagram(peer, datagram) => {
                let Some(to) = self.peer(from, peer) else { return };
                let Some(epoch) = self.connections.get(&pair(from, to)).copied() else { return };
                assert!(datagram.len() <= 1_180);
                if datagram[0] & 0x0F <= 2 {
                    *self.crossed.entry((from, to)).or_default() += datagram.len() as u64;
                }
                let line = self.line(from, to);
                if self.rng.random_bool(line.loss) {
                    return;
                }
                let mut at = self.now + line.delay + line.jitter.mul_f64(self.rng.random());
                if let Some(rate) = line.rate {
                    let begin = self.sending.get(&(from, to)).copied().unwrap_or(self.now).max(self.now);
                    if begin - self.now > QUEUE {
                        return;
                    }
                    let end = begin + Duration::from_micros(datagram.len() as u64 * 1_000_000 / rate);
                    self.sending.insert((from, to), end);
                    at += end - self.now;
                }
                self.push(at, Arriving::Datagram { at: to, from, epoch, datagram });
            }
            Out::Room(order) => self.order(from, order),
            Out::ParentLost(node, standby) => self.nodes[from].parents_lost.push((node, standby)),
            Out::ParentPoor(node) => self.nodes[from].parents_poor.push(node),
            Out::Packet(packet) => {
                let node = &mut self.nodes[from];
                if let Some(track) = node.remote.get(&packet.handle) {
                    assert_eq!(packet.payload[..8], packet.head.seq.to_be_bytes());
                    node.got.push((track.clone(), packet.layer, packet.head.seq, self.now));
                }
            }
        }
    }

    fn order(&mut self, at: usize, order: ToRoom) {
        let node = &mut self.nodes[at];
        match order {
            ToRoom::Track(_, handle, track) => {
                node.remote.insert(handle, track.track.clone());
                let layers = node.wants.get(&track.track).copied().unwrap_or(0);
                self.with(at, |hub, now, out| hub.from_room(now, FromRoom::Interest(handle, layers), out));
            }
            ToRoom::Withdraw(_, handle) => drop(node.remote.remove(&handle)),
            ToRoom::Tap(_, track, handle, layers) => drop(node.taps.insert(track, (handle, layers))),
            ToRoom::Keyframe(_, track, layer) => node.keyframes.push((track, layer)),
            ToRoom::Message(.., data) => node.messages.push(data),
            ToRoom::Layers(_, handle, layers) => {
                // As a receiver that takes the best it can have.
                let best = layers.iter().rposition(|layer| layer.alive).map_or(0, |best| 1 << best);
                if node.greedy {
                    self.with(at, |hub, now, out| hub.from_room(now, FromRoom::Interest(handle, best), out));
                }
            }
            ToRoom::Join(_) | ToRoom::Leave(_) => {}
        }
    }

    fn arrive(&mut self, arriving: Arriving) {
        match arriving {
            Arriving::Connected { at, from, epoch } => {
                if self.passes(at, from) && self.connections.get(&pair(at, from)) == Some(&epoch) {
                    self.with(at, |hub, now, out| {
                        let key = hub.peer(now, id(from)).unwrap();
                        hub.connected(now, key, out);
                    });
                }
            }
            Arriving::Lost { at, from } => {
                if let Some(key) = self.key(at, from) {
                    self.with(at, |hub, now, out| hub.lost(now, key, out));
                }
            }
            Arriving::Control { at, from, epoch, message } => {
                if let Some(key) = self.key(at, from)
                    && self.passes(at, from)
                    && self.connections.get(&pair(at, from)) == Some(&epoch)
                {
                    let message = control::take(&mut BytesMut::from(&message[..])).unwrap().unwrap().unwrap();
                    self.with(at, |hub, now, out| hub.control(now, key, message, out));
                }
            }
            Arriving::Datagram { at, from, epoch, datagram } => {
                if let Some(key) = self.key(at, from)
                    && self.passes(at, from)
                    && self.connections.get(&pair(at, from)) == Some(&epoch)
                {
                    self.with(at, |hub, now, out| hub.datagram(now, key, datagram, out));
                }
            }
        }
    }

    fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        loop {
            let next = self.queue.peek().map_or(until, |Reverse((at, ..))| *at).min(self.next_tick);
            if next > until {
                break;
            }
            self.now = self.now.max(next);
            while let Some(Reverse((at, _, key))) = self.queue.peek().copied()
                && at <= self.now
            {
                self.queue.pop();
                let arriving = self.arriving.remove(key);
                self.arrive(arriving);
            }
            if self.now >= self.next_tick {
                self.next_tick = self.now + limits::TICK;
                for node in 0..self.nodes.len() {
                    self.with(node, |hub, now, out| hub.tick(now, out));
                }
            }
            if self.now >= until {
                break;
            }
        }
        self.now = until;
    }

    fn route(&mut self, node: usize, parent: Option<usize>, standby: Option<usize>, children: &[usize]) {
        let end = |node: usize| Neighbour { node: id(node), address: "127.0.0.1:1".parse().unwrap() };
        let route = Route {
            room: room(),
            fence: 1,
            parent: parent.map(end),
            standby: standby.map(end),
            children: children.iter().map(|child| id(*child)).collect(),
        };
        self.with(node, |hub, now, out| hub.set_route(now, &route, out).unwrap());
    }

    fn publish(&mut self, node: usize, track: &str, rids: &[&str]) {
        let layer = |rid: Option<Rid>| LayerInfo { rid, kbps: 100, height: None, alive: true };
        let layers =
            if rids.is_empty() { vec![layer(None)] } else { rids.iter().map(|rid| layer(Rid::parse(rid))).collect() };
        let track = LocalTrack {
            track: name(track),
            participant: "p".parse().unwrap(),
            source: "camera".into(),
            kind: Kind::Video,
            layers,
            publication: 1 + self.now.duration_since(self.start).as_micros() as u64,
        };
        self.with(node, |hub, now, out| hub.from_room(now, FromRoom::Published(room(), track), out));
    }

    fn want(&mut self, node: usize, track: &str, layers: u8) {
        self.nodes[node].wants.insert(name(track), layers);
        let known = self.nodes[node].remote.iter().find(|(_, id)| id.as_str() == track).map(|(handle, _)| *handle);
        if let Some(handle) = known {
            self.with(node, |hub, now, out| hub.from_room(now, FromRoom::Interest(handle, layers), out));
        }
    }

    /// Sends one packet of each tapped layer of a track.
    fn send(&mut self, node: usize, track: &str, seq: u64, size: usize, starts: bool) {
        self.send_layers(node, track, seq, [size; 4], starts);
    }

    fn send_layers(&mut self, node: usize, track: &str, seq: u64, sizes: [usize; 4], starts: bool) {
        let Some((handle, layers)) = self.nodes[node].taps.get(&name(track)).copied() else { return };
        let now = self.now;
        let packet = |size: usize| Packet {
            mid: Mid::default(),
            rid: None,
            format: VP8,
            seq,
            timestamp: (seq * 900) as u32,
            marker: true,
            payload: seq.to_be_bytes().into_iter().chain(std::iter::repeat(7)).take(size.max(8)).collect(),
            audio_level: None,
            voice: None,
            descriptor: None,
            quarter_turns: None,
            arrival: now,
        };
        for layer in (0..4u8).filter(|layer| layers >> layer & 1 == 1) {
            let packet = FromRoom::Packet(handle, layer, packet(sizes[usize::from(layer)]), starts);
            self.with(node, |hub, now, out| hub.from_room(now, packet, out));
        }
    }

    /// Sends a packet each 10 ms, numbered from `from`; gives the number after the last.
    fn stream(&mut self, node: usize, track: &str, from: u64, packets: u64) -> u64 {
        for seq in from..from + packets {
            self.send(node, track, seq, 1_000, seq.is_multiple_of(100));
            self.pass(MS * 10);
        }
        from + packets
    }

    fn seqs(&self, node: usize, track: &str) -> Vec<u64> {
        self.nodes[node].got.iter().filter(|(id, ..)| id.as_str() == track).map(|(_, _, seq, _)| *seq).collect()
    }

    fn sorted(&self, node: usize, track: &str) -> Vec<u64> {
        let mut seqs = self.seqs(node, track);
        seqs.sort_unstable();
        seqs
    }
}

/// 0 above 1 above 2.
fn chain(seed: u64) -> World {
    let mut world = World::new(3, seed);
    world.route(0, None, None, &[1, 2]);
    world.route(1, Some(0), None, &[2]);
    world.route(2, Some(1), Some(0), &[]);
    world.pass(MS * 500);
    world
}
