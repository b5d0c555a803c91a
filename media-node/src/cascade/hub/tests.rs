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
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{cmp::Reverse, collections::BinaryHeap};

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

const VP8: Format = Format {
    codec: Codec::Vp8,
    clock_rate: 90_000,
    channels: None,
    packetization_mode: None,
    profile_level_id: None,
    profile_id: None,
    blocks: None,
};

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

#[test]
fn a_layer_crosses_each_pipe_once_and_only_if_it_is_watched() {
    let mut world = chain(1);
    world.publish(0, "video", &["q", "h", "f"]);
    world.pass(MS * 200);
    assert!(world.nodes[2].remote.values().any(|track| track.as_str() == "video"), "told over two hops");
    world.stream(0, "video", 0, 10);
    assert!(world.crossed.is_empty(), "nobody watches");
    world.want(2, "video", 0b010);
    world.pass(MS * 200);
    assert_eq!(world.nodes[0].taps[&name("video")].1, 0b010);
    world.want(1, "video", 0b010);
    world.pass(MS * 200);
    world.stream(0, "video", 10, 100);
    world.pass(MS * 100);
    assert_eq!(world.seqs(1, "video"), (10..110).collect::<Vec<_>>());
    assert_eq!(world.seqs(2, "video"), (10..110).collect::<Vec<_>>());
    let (down, up) = (world.crossed[&(0, 1)], world.crossed.get(&(1, 0)));
    assert!(up.is_none() && down < 100 * 1_030, "{down} bytes: once, with less than 3 % of head");
    world.want(1, "video", 0);
    world.want(2, "video", 0);
    world.pass(MS * 200);
    assert_eq!(world.nodes[0].taps[&name("video")].1, 0);
}

#[test]
fn losses_are_repaired_on_their_hop() {
    let mut world = chain(2);
    world.lines.insert((0, 1), Line { delay: MS * 30, jitter: MS * 8, loss: 0.1, rate: None });
    world.lines.insert((1, 2), Line { delay: MS * 50, jitter: MS * 20, loss: 0.05, rate: None });
    world.publish(0, "video", &[]);
    world.want(2, "video", 1);
    world.pass(MS * 1_000);
    world.stream(0, "video", 0, 1_000);
    world.pass(MS * 1_000);
    assert_eq!(world.sorted(2, "video"), (0..1_000).collect::<Vec<_>>(), "all of it, each once");
    let at = world.now;
    let pipe = |figures: Vec<PeerFigures>, node: usize| figures.iter().find(|f| f.node == id(node)).unwrap().pipe;
    let first = pipe(world.nodes[1].hub.figures(at, |_| 0), 0);
    assert!((500..2_000).contains(&first.loss_in) && first.residual_in == 0, "{first:?}");
    assert!(first.rtt >= MS * 60 && first.rtt < MS * 80, "{first:?}");
    let above = pipe(world.nodes[0].hub.figures(at, |_| 0), 1);
    assert!(above.loss_out.abs_diff(first.loss_in) < 200 && above.resent_packets > 50, "{above:?}");
    assert!(above.resent_packets < 200, "about as many as were lost: {above:?}");
}

#[test]
fn large_packets_go_in_pieces() {
    let mut world = chain(3);
    world.lines.insert((0, 1), Line { loss: 0.05, ..CLEAN });
    world.publish(0, "video", &[]);
    world.want(2, "video", 1);
    world.pass(MS * 500);
    for seq in 0..300 {
        world.send(0, "video", seq, 1_400, true);
        world.pass(MS * 10);
    }
    world.pass(MS * 700);
    assert_eq!(world.sorted(2, "video"), (0..300).collect::<Vec<_>>());
}

#[test]
fn a_dead_parent_is_replaced_by_the_standby_within_a_second_of_its_detection() {
    let mut world = chain(4);
    world.publish(0, "video", &[]);
    world.publish(2, "back", &[]);
    world.want(2, "video", 1);
    world.want(0, "back", 1);
    world.pass(MS * 500);
    let seq = world.stream(0, "video", 0, 100);
    assert!(world.seqs(2, "video").len() > 90);
    world.nodes[1].alive = false;
    let killed = world.now;
    let mut detected = None;
    for seq in seq..seq + 400 {
        world.send(0, "video", seq, 1_000, false);
        world.send(2, "back", seq, 1_000, false);
        world.pass(MS * 10);
        if detected.is_none() && world.nodes[2].hub.failovers > 0 {
            detected = Some(world.now);
        }
    }
    let detected = detected.unwrap();
    assert!(detected - killed <= MS * 2_000, "{:?}", detected - killed);
    for (node, track) in [(2, "video"), (0, "back")] {
        let again =
            world.nodes[node].got.iter().find(|got| got.0 == name(track) && got.3 > killed + MS * 100).unwrap().3;
        assert!(again - detected <= MS * 1_000, "{track}: {:?}", again - detected);
    }
    assert_eq!(world.nodes[2].parents_lost, [(id(1), Some(id(0)))], "told once");
    assert!(world.nodes[0].keyframes.contains(&(name("video"), 0)), "a key frame heals the gap");
    assert_eq!(world.nodes[2].remote.len(), 1, "the same track goes on");
}

#[test]
fn a_new_parent_takes_over_without_a_packet_lost_or_doubled() {
    let mut world = World::new(4, 5);
    for (pair, delay) in [((0, 1), 10), ((0, 2), 60), ((1, 3), 15), ((2, 3), 5)] {
        world.lines.insert(pair, Line { delay: MS * delay, ..CLEAN });
    }
    world.route(0, None, None, &[1, 2]);
    world.route(1, Some(0), None, &[3]);
    world.route(2, Some(0), None, &[3]);
    world.route(3, Some(1), None, &[]);
    world.pass(MS * 500);
    world.publish(0, "video", &[]);
    world.publish(1, "middle", &[]);
    world.publish(3, "leaf", &[]);
    for (node, track) in [(3, "video"), (3, "middle"), (0, "leaf"), (1, "leaf"), (2, "leaf")] {
        world.want(node, track, 1);
    }
    world.pass(MS * 500);
    for seq in 0..1_200u64 {
        for (node, track) in [(0, "video"), (1, "middle"), (3, "leaf")] {
            world.send(node, track, seq, 1_000, false);
        }
        match seq {
            300 => world.route(3, Some(2), None, &[]),
            900 => world.route(3, Some(1), None, &[]),
            _ => {}
        }
        world.pass(MS * 10);
        if seq == 850 {
            let room = &world.nodes[3].hub.rooms[0];
            assert_eq!(room.edges.len(), 1, "the old parent was left: {:?}", room.edges);
        }
    }
    world.pass(MS * 500);
    for (node, track) in [(3, "video"), (3, "middle"), (0, "leaf"), (1, "leaf"), (2, "leaf")] {
        let got = world.sorted(node, track);
        let missing: Vec<u64> = (0..1_200).filter(|seq| got.binary_search(seq).is_err()).collect();
        assert!(missing.is_empty() && got.len() == 1_200, "{track} at {node}: {} got, {missing:?} missing", got.len());
    }
}

#[test]
fn a_pipe_that_is_too_narrow_carries_lower_layers() {
    let mut world = chain(11);
    world.publish(0, "video", &["q", "h"]);
    (world.nodes[1].greedy, world.nodes[2].greedy) = (true, true);
    world.want(1, "video", 0b10);
    world.want(2, "video", 0b10);
    world.pass(MS * 500);
    let mut seq = 0;
    let mut run = |world: &mut World, seconds: u64| {
        for _ in 0..seconds * 100 {
            world.send_layers(0, "video", seq, [250, 1_000, 0, 0], true);
            world.pass(MS * 10);
            seq += 1;
        }
    };
    let layers = |world: &World, node: usize| world.nodes[node].got.iter().map(|got| got.1).collect::<Vec<_>>();
    run(&mut world, 3);
    assert!(layers(&world, 2).iter().all(|layer| *layer == 1));
    // 100 kB/s are wanted, 25 of which will do.
    world.lines.insert((0, 1), Line { rate: Some(60_000), ..CLEAN });
    run(&mut world, 6);
    world.nodes.iter_mut().for_each(|node| node.got.clear());
    run(&mut world, 5);
    for node in [1, 2] {
        let got = layers(&world, node);
        assert!(got.len() >= 490 && got.iter().all(|layer| *layer == 0), "{} packets at {node}", got.len());
    }
    world.lines.insert((0, 1), CLEAN);
    run(&mut world, 30);
    world.nodes.iter_mut().for_each(|node| node.got.clear());
    run(&mut world, 2);
    assert!([1, 2].iter().all(|node| layers(&world, *node).iter().all(|layer| *layer == 1)), "the top is back");
}

#[test]
fn a_storm_of_key_frame_requests_becomes_one_per_interval() {
    let mut world = chain(6);
    world.publish(0, "video", &[]);
    for node in [1, 2] {
        world.want(node, "video", 1);
    }
    world.pass(MS * 500);
    world.nodes[0].keyframes.clear();
    for _ in 0..200 {
        for node in [1, 2] {
            let handle = *world.nodes[node].remote.keys().next().unwrap();
            world.with(node, |hub, now, out| hub.from_room(now, FromRoom::Keyframe(handle, 0), out));
        }
        world.pass(MS * 10);
    }
    let count = world.nodes[0].keyframes.len();
    assert!((3..=5).contains(&count), "{count} in 2 s");
    // The second one answers a request that crossed the first.
    for seq in [100, 101] {
        world.send(0, "video", seq, 1_000, true);
        world.pass(MS * 600);
    }
    world.nodes[0].keyframes.clear();
    world.pass(MS * 2_000);
    assert!(world.nodes[0].keyframes.is_empty(), "satisfied");
}

#[test]
fn a_partition_heals() {
    let mut world = chain(7);
    world.publish(0, "video", &[]);
    world.want(1, "video", 1);
    world.pass(MS * 500);
    world.stream(0, "video", 0, 50);
    world.cut.insert((0, 1));
    world.pass(MS * 5_000);
    assert!(world.nodes[1].remote.is_empty(), "without a way for so long it is over");
    world.cut.clear();
    world.pass(MS * 4_000);
    world.nodes[1].got.clear();
    world.stream(0, "video", 1_000, 50);
    world.pass(MS * 100);
    assert_eq!(world.seqs(1, "video"), (1_000..1_050).collect::<Vec<_>>());
}

#[test]
fn only_named_children_join_and_only_joined_neighbours_get_anything() {
    let mut world = World::new(2, 8);
    world.route(0, None, None, &[]);
    world.publish(0, "video", &[]);
    world.route(1, Some(0), None, &[]);
    world.want(1, "video", 1);
    world.pass(MS * 2_000);
    assert!(world.nodes[1].remote.is_empty());
    let key = world.key(0, 1).unwrap();
    world.with(0, |hub, now, out| {
        hub.control(now, key, Control::Subscribe(room(), name("video"), 0, StreamId(0)), out);
    });
    assert!(world.nodes[0].hub.served.is_empty());
    world.route(0, None, None, &[1]);
    world.pass(MS * 2_000);
    assert_eq!(world.nodes[1].remote.len(), 1);
    let behind = Route { room: room(), fence: 0, parent: None, standby: None, children: vec![] };
    world.with(0, |hub, now, out| {
        assert_eq!(hub.set_route(now, &behind, out), Err(RouteError::Fenced { given: 0, greatest: 1 }));
        let own = Route { fence: 2, children: vec![id(0)], ..behind.clone() };
        assert_eq!(hub.set_route(now, &own, out), Err(RouteError::Twice(id(0))));
    });
}

#[test]
fn data_messages_reach_every_node_once() {
    let mut world = chain(9);
    for (node, channel) in [(2, Channel::Reliable), (0, Channel::Lossy)] {
        let message = Bytes::from(vec![node as u8; 100]);
        world.with(node, |hub, now, out| {
            hub.from_room(now, FromRoom::Message(room(), "p".parse().unwrap(), channel, message), out);
        });
    }
    world.pass(MS * 500);
    let counts: Vec<usize> = world.nodes.iter().map(|node| node.messages.len()).collect();
    assert_eq!(counts, [1, 2, 1]);
}

#[test]
fn clocks_that_differ_do_not_hide_a_track_for_good() {
    let mut world = chain(14);
    let hour = 3_600_000_000;
    let publish = |world: &mut World, node: usize, publication: u64| {
        let layer = LayerInfo { rid: None, kbps: 100, height: None, alive: true };
        let track = LocalTrack {
            track: name("video"),
            participant: "p".parse().unwrap(),
            source: "camera".into(),
            kind: Kind::Video,
            layers: vec![layer],
            publication,
        };
        world.with(node, |hub, now, out| hub.from_room(now, FromRoom::Published(room(), track), out));
        world.pass(MS * 200);
    };
    let end = |world: &mut World, node: usize| {
        world.with(node, |hub, now, out| hub.from_room(now, FromRoom::Unpublished(room(), name("video")), out));
        world.pass(MS * 200);
    };
    // The participant goes from node 0, whose clock is an hour ahead, to node 2, while its old session still stands.
    world.want(1, "video", 1);
    publish(&mut world, 0, EPOCH + hour);
    publish(&mut world, 2, EPOCH);
    world.stream(2, "video", 500, 20);
    world.pass(MS * 100);
    assert_eq!(world.seqs(1, "video"), (500..520).collect::<Vec<_>>(), "who knows the old one numbers beyond it");
    assert!(world.nodes[0].remote.is_empty(), "what a client publishes here is taken from it by nobody");
    end(&mut world, 0);
    assert_eq!(world.nodes[0].remote.len(), 1, "now the other one comes to light");
    assert_eq!(world.nodes[1].remote.len(), 1);
    end(&mut world, 2);
    assert!(world.nodes.iter().all(|node| node.remote.is_empty()));
}

#[test]
fn messages_of_a_node_that_began_anew_are_not_taken_for_old_ones() {
    let mut world = chain(12);
    let say = |world: &mut World, text: &'static [u8]| {
        let message = FromRoom::Message(room(), "p".parse().unwrap(), Channel::Reliable, Bytes::from_static(text));
        world.with(1, |hub, now, out| hub.from_room(now, message, out));
    };
    (0..5).for_each(|_| say(&mut world, b"before"));
    world.pass(MS * 200);
    assert_eq!(world.nodes[2].messages.len(), 5);
    let passed = world.now.duration_since(world.start).as_micros() as u64;
    world.nodes[1].hub = Hub::new(id(1), world.now, EPOCH + passed);
    for other in [0, 2] {
        world.connections.remove(&pair(1, other));
        let key = world.key(other, 1).unwrap();
        world.with(other, |hub, now, out| hub.lost(now, key, out));
    }
    world.route(1, Some(0), None, &[2]);
    world.route(2, Some(1), None, &[]);
    world.pass(MS * 3_000);
    say(&mut world, b"after");
    world.pass(MS * 200);
    assert_eq!(world.nodes[2].messages.last().map(|message| &message[..]), Some(&b"after"[..]));
}

#[test]
fn a_node_whose_standby_dies_goes_back_to_its_parent() {
    let mut world = chain(13);
    world.publish(0, "video", &[]);
    // 2 has 1 above it and 0 as standby; 1 reaches 0 all the time.
    world.want(2, "video", 1);
    world.pass(MS * 500);
    world.cut.insert((1, 2));
    world.pass(MS * 3_000);
    assert_eq!(world.nodes[2].parents_lost, [(id(1), Some(id(0)))]);
    world.cut = BTreeSet::from([(0, 2)]);
    world.pass(MS * 6_000);
    assert_eq!(world.nodes[2].parents_lost.last(), Some(&(id(0), Some(id(1)))));
    world.nodes[2].got.clear();
    world.stream(0, "video", 0, 20);
    world.pass(MS * 200);
    assert_eq!(world.seqs(2, "video").len(), 20);
}

#[test]
fn a_publication_that_ends_or_moves_is_followed() {
    let mut world = chain(10);
    world.publish(2, "video", &[]);
    world.want(0, "video", 1);
    world.pass(MS * 300);
    world.stream(2, "video", 0, 20);
    assert!(world.seqs(0, "video").len() > 10);
    // Its participant comes back on node 1, before node 2 has noticed.
    world.publish(1, "video", &[]);
    world.pass(MS * 300);
    world.nodes[0].got.clear();
    world.stream(1, "video", 500, 20);
    world.pass(MS * 100);
    assert_eq!(world.seqs(0, "video"), (500..520).collect::<Vec<_>>());
    // On node 2 the old one is taken from nobody; when it ends, the new one is there.
    assert!(world.nodes[2].remote.is_empty());
    world.with(2, |hub, now, out| hub.from_room(now, FromRoom::Unpublished(room(), name("video")), out));
    world.pass(MS * 100);
    assert_eq!((world.nodes[0].remote.len(), world.nodes[2].remote.len()), (1, 1));
    world.with(1, |hub, now, out| hub.from_room(now, FromRoom::Unpublished(room(), name("video")), out));
    world.pass(MS * 100);
    assert!(world.nodes[0].remote.is_empty() && world.nodes[2].remote.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Random trees, random moves of leaves and subtrees at random moments, on lossy lines: nothing comes twice, nothing goes round,
    /// and once the commands have settled everyone gets everything.
    #[test]
    fn any_sequence_of_moves_ends_in_a_tree_that_serves(
        seed: u64,
        first in proptest::collection::vec(any::<usize>(), 5),
        moves in proptest::collection::vec((1usize..6, any::<usize>(), 0u64..1_500), 0..6),
    ) {
        const NODES: usize = 6;
        let mut world = World::new(NODES, seed);
        for pair in (0..NODES).flat_map(|a| (a + 1..NODES).map(move |b| (a, b))) {
            let delay = MS * world.rng.random_range(1..40);
            world.lines.insert(pair, Line { delay, jitter: MS * 3, loss: 0.01, rate: None });
        }
        // Parents with smaller numbers only: any such choice is a tree.
        let mut parents: Vec<Option<usize>> = (0..NODES).map(|node| node.checked_sub(1).map(|n| first[n] % node)).collect();
        let command = |world: &mut World, parents: &[Option<usize>]| {
            for node in 0..NODES {
                let children: Vec<usize> = (0..NODES).filter(|child| parents[*child] == Some(node)).collect();
                world.route(node, parents[node], None, &children);
            }
        };
        command(&mut world, &parents);
        for node in 0..NODES {
            world.publish(node, &format!("t{node}"), &[]);
            (0..NODES).filter(|other| *other != node).for_each(|other| world.want(other, &format!("t{node}"), 1));
        }
        let mut seq = 0u64;
        let mut run = |world: &mut World, ms: u64| {
            for _ in 0..ms / 20 {
                (0..NODES).for_each(|node| world.send(node, &format!("t{node}"), seq, 300, seq.is_multiple_of(50)));
                seq += 1;
                world.pass(MS * 20);
            }
        };
        run(&mut world, 600);
        for (node, parent, wait) in moves {
            parents[node] = Some(parent % node);
            command(&mut world, &parents);
            run(&mut world, wait);
        }
        run(&mut world, 6_500);
        world.nodes.iter_mut().for_each(|node| node.got.clear());
        world.crossed.clear();
        run(&mut world, 1_000);
        world.pass(MS * 1_000);
        for node in 0..NODES {
            for other in (0..NODES).filter(|other| *other != node) {
                let got = world.sorted(node, &format!("t{other}"));
                let mut once = got.clone();
                once.dedup();
                prop_assert_eq!(&once, &got, "nothing twice");
                prop_assert!(got.len() >= 50, "t{} at {}: {} packets", other, node, got.len());
            }
        }
        // A tree of 6 nodes has 5 pipes, each of which every one of 6 tracks crosses once.
        let bytes: u64 = world.crossed.values().sum();
        prop_assert!(bytes < 5 * 6 * 50 * 330 * 108 / 100, "{} bytes crossed", bytes);
        for node in &world.nodes {
            prop_assert_eq!(node.hub.rooms[0].edges.values().filter(|edge| **edge != Edge::Joined).count(), 0);
        }
    }
}

/// Something that a peer may say, within a small world of names so that it means something.
fn any_control() -> impl Strategy<Value = Control> {
    let track = || (0..4u8).prop_map(|number| name(&format!("t{number}")));
    let stream = || (0..6u32).prop_map(StreamId);
    let layers = || {
        let layer = (any::<u32>(), any::<Option<u16>>(), any::<bool>());
        let layer = layer.prop_map(|(kbps, height, alive)| LayerInfo { rid: None, kbps, height, alive });
        proptest::collection::vec(layer, 1..4)
    };
    let announce =
        (track(), any::<u64>(), layers(), proptest::collection::vec(0..5usize, 1..8), any::<bool>(), any::<bool>());
    let announce = announce.prop_map(|(track, publication, layers, path, going, video)| control::Announce {
        room: room(),
        track,
        publication,
        participant: "p".parse().unwrap(),
        source: "camera".into(),
        kind: if video { Kind::Video } else { Kind::Audio },
        layers,
        path: path.into_iter().map(id).chain([id(1)]).collect(),
        going,
    });
    let data = (0..5usize, any::<u64>()).prop_map(|(origin, number)| control::Data {
        room: room(),
        origin: id(origin),
        number,
        participant: "p".parse().unwrap(),
        channel: Channel::Reliable,
        data: Bytes::from_static(b"x"),
    });
    prop_oneof![
        1 => any::<(u32, u32)>().prop_map(|(version, oldest)| Control::Hello(version, oldest)),
        1 => any::<u64>().prop_map(|fence| Control::Join(room(), fence)),
        1 => Just(Control::Joined(room())),
        1 => Just(Control::Refused(room(), "no".into())),
        1 => Just(Control::Leave(room())),
        4 => announce.prop_map(Control::Announce),
        1 => (track(), layers()).prop_map(|(track, layers)| Control::Layers(room(), track, layers)),
        1 => (track(), any::<bool>()).prop_map(|(track, over)| Control::Withdraw(room(), track, over)),
        4 => (track(), 0..5u8, stream()).prop_map(|(track, layer, stream)| Control::Subscribe(room(), track, layer, stream)),
        1 => stream().prop_map(Control::Unsubscribe),
        1 => stream().prop_map(Control::Keyframe),
        1 => data.prop_map(Control::Data),
    ]
}

/// A datagram that a peer may send: well formed and absurd, or garbage.
fn any_datagram() -> impl Strategy<Value = Bytes> {
    use crate::cascade::datagram;
    let stream = || (0..6u32).prop_map(StreamId);
    let media = (stream(), any::<u32>(), 0u64..1 << 48, any::<bool>()).prop_map(|(stream, hop, seq, starts)| {
        let head = datagram::MediaHead {
            seq,
            timestamp: 0,
            marker: true,
            starts,
            format: VP8,
            audio_level: None,
            voice: None,
            descriptor: None,
            quarter_turns: None,
        };
        datagram::media(stream, hop % 2_000, &head, &seq.to_be_bytes())
    });
    let beat = any::<[u64; 5]>().prop_map(|[clock, echo, expected, lost, given_up]| {
        datagram::beat(&datagram::Beat { clock, echo, held: 7, expected, lost, given_up })
    });
    prop_oneof![
        4 => media,
        1 => (stream(), proptest::collection::vec(any::<u32>(), 0..9)).prop_map(|(stream, missing)| datagram::nack(stream, &missing)),
        1 => proptest::collection::vec((stream(), any::<u32>()), 0..9).prop_map(|heads| datagram::heads(&heads)),
        1 => beat,
        1 => proptest::collection::vec(any::<u8>(), 0..60).prop_map(Bytes::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever a neighbour says and sends: nothing panics, and what a client here publishes goes on to the other neighbour.
    #[test]
    fn a_neighbour_that_says_anything_does_the_others_no_harm(
        said in proptest::collection::vec(prop_oneof![
            any_control().prop_map(Ok),
            any_datagram().prop_map(Err),
        ], 1..120),
    ) {
        // 0 is the victim; 1 says anything; 2 is another child.
        let mut world = World::new(3, 1);
        world.route(0, None, None, &[1, 2]);
        world.route(2, Some(0), None, &[]);
        world.route(1, Some(0), None, &[]);
        world.publish(0, "t0", &[]);
        world.want(2, "t0", 1);
        world.pass(MS * 300);
        for (count, said) in said.into_iter().enumerate() {
            if let Some(key) = world.key(0, 1) {
                world.with(0, |hub, now, out| match said {
                    Ok(message) => hub.control(now, key, message, out),
                    Err(datagram) => hub.datagram(now, key, datagram, out),
                });
            }
            world.pass(MS * (count as u32 % 3) * 20);
        }
        world.nodes[2].got.clear();
        world.stream(0, "t0", 1_000_000, 20);
        world.pass(MS * 300);
        prop_assert_eq!(world.sorted(2, "t0"), (1_000_000..1_000_020).collect::<Vec<_>>());
    }
}
