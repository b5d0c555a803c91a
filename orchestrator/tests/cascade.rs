//! A real orchestrator over real media nodes: it lays a room's tree, media crosses it, a node dies.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../../media-node/tests/harness/mod.rs"]
mod harness;
#[path = "cascade/mix.rs"]
mod mix;
#[allow(dead_code, unused_imports)]
mod world;

use chroom_chain_client::Membership;
use chroom_media_node::{
    cascade::{
        gate,
        quic::{Cascade, CascadeConfig},
    },
    health::{Health, Registered},
    processing::{
        budget::Millicores,
        recording::room::RecordingLimits,
        studio::{Studio, StudioConfig},
    },
    rpc::{Admission, MediaService},
    sfu::{Sfu, SfuConfig, event::CloseReason},
};
use chroom_orchestrator::chain::{Chain, ChainState};
use chroom_primitives::{Hash, NodeId, Role};
use chroom_rpc::{server, tls::Identity};
use chroom_wallet::Wallet;
use harness::{Client, Lines, Source, publisher_lines};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use str0m::{
    change::{SdpAnswer, SdpApi},
    media::{Direction, MediaKind},
};
use tokio::{
    net::TcpListener,
    sync::{Mutex, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use world::{World, get, media_entry, media_record, until};

/// Calls in real time: one after the other.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Longest time that anything may take here.
const PATIENCE: Duration = Duration::from_secs(60);

/// A media node as its program puts it together, on loopback.
struct Node {
    id: NodeId,
    sfu: Arc<Sfu>,
    cascade: Arc<Cascade>,
    studio: Arc<Studio>,
    is_full: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

fn membership(state: &ChainState) -> Arc<Membership> {
    Arc::new(Membership {
        block: state.block,
        block_hash: Hash::zero(),
        epoch: state.epoch.clone(),
        generation: 0,
        nodes: state.nodes.clone(),
    })
}

impl Node {
    async fn start(world: &World) -> Self {
        let wallet = Wallet::generate();
        let identity = Identity::new(&wallet).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        world.chain.register(wallet.node_id(), Role::Media, &address.to_string());
        let mut chain = world.chain.state();
        let (sender, members) = watch::channel(membership(&chain.borrow()));
        let following = tokio::spawn(async move {
            while chain.changed().await.is_ok() {
                let state = chain.borrow_and_update().clone();
                sender.send_replace(membership(&state));
            }
        });

        let pipes = CascadeConfig { listen: "127.0.0.1:0".parse().unwrap(), advertise: None };
        let prepared = Cascade::prepare(&pipes, &identity, gate::of(members.clone())).unwrap();
        let config = SfuConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            tcp: false,
            advertise: None,
            shards: 1,
            egress_loss: None,
        };
        let sfu = Arc::new(Sfu::start_with(&config, Some(prepared.room_end())).unwrap());
        let cascade = Arc::new(prepared.start(sfu.rooms()).unwrap());
        let health = Arc::new(Health::new(Registered::Active, 1_000_000, 1_000));
        let studio = StudioConfig {
            threads: 1,
            budget: Millicores(800),
            recordings: None,
            limits: RecordingLimits { duration: Duration::ZERO, bytes: 0 },
        };
        let studio = Arc::new(Studio::start(sfu.clone(), studio).unwrap());
        let service = MediaService::new(sfu.clone(), health, Admission::new(members), CancellationToken::new())
            .with_cascade(cascade.clone())
            .with_studio(studio.clone());
        let routes = service.routes();
        let serving = tokio::spawn(async move {
            server::serve(listener, &identity, routes, std::future::pending()).await.unwrap();
        });

        let id = wallet.node_id();
        let is_full = Arc::new(AtomicBool::new(false));
        let (chain, publishers) = (world.chain.clone(), world.registries.iter().map(|one| one.publisher()));
        let (publishers, full) = (publishers.collect::<Vec<_>>(), is_full.clone());
        let reporting = tokio::spawn(async move {
            let record = media_record(&wallet, &chain, address);
            loop {
                for publish in &publishers {
                    publish(media_entry(&wallet, &chain, &record, full.load(Ordering::Relaxed)));
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        });
        Self { id, sfu, cascade, studio, is_full, tasks: vec![following, serving, reporting] }
    }

    /// Says that it takes no more, until the orchestrator knows.
    async fn fill(&self, world: &World) {
        self.is_full.store(true, Ordering::Relaxed);
        until("the orchestrator knows that the node is full", async || {
            let network = get(world.address, "/v1/network").await?;
            let entry = network["nodes"].as_array()?.iter().find(|entry| entry["id"] == self.id.to_hex())?.clone();
            (entry["load"]["cpu"].as_f64()? > 0.9).then_some(())
        })
        .await;
    }

    /// Nodes that its pipes are up to, for how many rooms each.
    async fn pipes(&self) -> BTreeSet<(NodeId, u32)> {
        let figures = self.cascade.figures().await.unwrap();
        figures.peers.iter().filter(|peer| peer.up).map(|peer| (peer.node, peer.rooms)).collect()
    }

    /// As `kill -9`.
    async fn kill(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.cascade.die().await;
        self.studio.stop().await;
        self.sfu.stop(CloseReason::Draining).await;
    }
}

/// Somebody in the call, who sends sound and a picture and hears two others.
struct Person {
    signalling: world::Client,
    media: Client,
    lines: Lines,
    source: Option<Source>,
    tracks: Vec<Value>,
    info: Value,
}

fn lines(api: &mut SdpApi<'_>) -> Lines {
    let mut lines = publisher_lines(api);
    for _ in 0..2 {
        lines.mids.push(api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None).to_string());
    }
    lines
}

impl Person {
    async fn join(world: &World, number: u8, identity: &str) -> Self {
        let mut signalling = world.client().await;
        let info = signalling.join(identity).await;
        let mut person = Self {
            signalling,
            media: Client::new(number),
            lines: Lines::default(),
            source: None,
            tracks: vec![Value::Null; 2],
            info,
        };
        person.negotiate(&[]).await;
        person
    }

    /// Makes a peer connection that hears these tracks.
    async fn negotiate(&mut self, hears: &[&Value]) {
        let mut api = self.media.rtc.sdp_api();
        self.lines = lines(&mut api);
        let (offer, pending) = api.apply().unwrap();
        let publish: Vec<Value> = ["microphone", "camera"]
            .iter()
            .zip(&self.lines.mids)
            .zip(&self.tracks)
            .map(|((source, mid), track)| match track {
                Value::Null => json!({ "mid": mid, "source": source }),
                track => json!({ "mid": mid, "source": source, "track": track }),
            })
            .collect();
        let offer = json!({ "sdp": offer.to_sdp_string(), "publish": publish, "subscribe": self.wishes(hears) });
        let answer = self.signalling.call("session.negotiate", offer).await.unwrap();
        let track = |mid: &String| {
            let published = answer["publish"].as_array().unwrap();
            published.iter().find(|one| one["mid"] == *mid).unwrap()["track"].clone()
        };
        self.tracks = self.lines.mids[..2].iter().map(track).collect();
        let sdp = SdpAnswer::from_sdp_string(answer["sdp"].as_str().unwrap()).unwrap();
        self.media.rtc.sdp_api().accept_answer(pending, sdp).unwrap();
        self.media.drain();
        self.source = Some(Source::new(&self.lines));
    }

    fn wishes(&self, hears: &[&Value]) -> Vec<Value> {
        let mids = self.lines.mids.iter().skip(2);
        mids.zip(hears).map(|(mid, track)| json!({ "mid": mid, "track": track })).collect()
    }

    async fn hear(&mut self, tracks: &[&Value]) {
        let wishes = json!({ "subscribe": self.wishes(tracks) });
        self.signalling.call("session.subscribe", wishes).await.unwrap();
    }

    /// The numbers of the packets that it heard of the `n`th track.
    fn heard(&self, n: usize) -> BTreeSet<u64> {
        self.media.unique(&self.lines.mids[2 + n])
    }

    fn turn(&mut self) {
        self.media.turn();
        if let Some(source) = &mut self.source {
            source.send(&mut self.media);
        }
    }
}

/// Lets the call go on until a condition holds.
async fn run(what: &str, people: &mut [Person; 3], done: impl Fn(&[Person; 3]) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done(people) {
        people.iter_mut().for_each(Person::turn);
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A call of three, each on a node of its own, who hear each other. The first one's node is the root.
struct Call {
    /// Runs while it is held.
    _world: World,
    nodes: [Node; 3],
    people: [Person; 3],
    voices: Vec<Value>,
}

impl Call {
    async fn start() -> Self {
        let world = World::start(0).await;
        let mut nodes = Vec::new();
        for _ in 0..3 {
            nodes.push(Node::start(&world).await);
        }
        until("the orchestrator knows the nodes", async || {
            (get(world.address, "/health").await?["mediaNodes"] == 3).then_some(())
        })
        .await;
        let mut people = Vec::new();
        for (number, identity) in (1..).zip(["ada", "bob", "eve"]) {
            let person = Person::join(&world, number, identity).await;
            let at = nodes.iter().position(|node| person.info["node"]["id"] == node.id.to_hex()).unwrap();
            nodes.swap(people.len(), at);
            nodes[people.len()].fill(&world).await;
            people.push(person);
        }
        let ids: Vec<String> = nodes.iter().map(|node| node.id.to_hex()).collect();
        assert_eq!(people[2].info["nodes"], json!(ids), "each is on a node of their own");

        let voices: Vec<Value> = people.iter().map(|person| person.tracks[0].clone()).collect();
        for (at, person) in people.iter_mut().enumerate() {
            let others: Vec<&Value> = voices.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, one)| one).collect();
            person.hear(&others).await;
        }
        let (Ok(nodes), Ok(people)) = (nodes.try_into(), people.try_into()) else { panic!() };
        let mut call = Self { _world: world, nodes, people, voices };
        run("everyone hears both others", &mut call.people, |people| {
            people.iter().all(|person| person.heard(0).len() > 50 && person.heard(1).len() > 50)
        })
        .await;
        let [first, second, third] = &call.nodes;
        // The third's standby is the second: their pipe is up, and no room crosses it.
        assert_eq!(first.pipes().await, BTreeSet::from([(second.id, 1), (third.id, 1)]));
        assert_eq!(third.pipes().await, BTreeSet::from([(first.id, 1), (second.id, 0)]));
        call
    }

    /// Waits until the orchestrator tells somebody to move, and makes the new connection.
    async fn follow(&mut self, at: usize) -> Value {
        let moved = loop {
            let (before, rest) = self.people.split_at_mut(at);
            let (person, after) = rest.split_first_mut().unwrap();
            tokio::select! {
                moved = person.signalling.event("moved") => break moved,
                () = tokio::time::sleep(Duration::from_millis(1)) => before.iter_mut().chain(after).for_each(Person::turn),
            }
        };
        assert_ne!(moved["node"]["id"], self.nodes[at].id.to_hex());
        let person = &mut self.people[at];
        person.media = Client::new(4);
        let others: Vec<&Value> =
            self.voices.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, one)| one).collect();
        person.negotiate(&others).await;
        assert_eq!(person.tracks[0], self.voices[at], "track ids stay");
        moved
    }

    /// Everyone leaves, and the nodes but the dead one have no place in a tree any more.
    async fn end(mut self, dead: usize) {
        for person in &mut self.people {
            person.signalling.call("session.leave", json!({})).await.unwrap();
        }
        let well = || self.nodes.iter().enumerate().filter(|(n, _)| *n != dead).map(|(_, node)| node);
        until("the tree is gone", async || {
            for node in well() {
                if node.pipes().await.iter().any(|(_, rooms)| *rooms > 0) {
                    return None;
                }
            }
            Some(())
        })
        .await;
        for node in well() {
            node.kill().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_three_nodes_survives_the_death_of_one() {
    let _alone = ALONE.lock().await;
    let mut call = Call::start().await;
    let killed = Instant::now();
    call.nodes[1].kill().await;
    let before = (call.people[0].heard(1), call.people[2].heard(0));
    call.follow(1).await;
    println!("bob is told to move {:?} after his node was killed", killed.elapsed());
    let (ada_heard, eve_heard) = (call.people[0].heard(0).len(), call.people[2].heard(1).len());
    run("bob is back, and those who heard him do again", &mut call.people, |[ada, bob, eve]| {
        let again = ada.heard(0).len() > ada_heard + 50 && eve.heard(1).len() > eve_heard + 50;
        again && bob.heard(0).len() > 50 && bob.heard(1).len() > 50
    })
    .await;
    println!("everyone hears everyone {:?} after the kill", killed.elapsed());
    // Those who were well heard each other all the while.
    let [ada, _, eve] = &call.people;
    for (heard, before) in [(ada.heard(1), before.0), (eve.heard(0), before.1)] {
        let (from, to) = (*before.first().unwrap(), *heard.last().unwrap());
        assert!(heard.len() > before.len() && heard.len() as u64 == to - from + 1, "a gap between those who are well");
    }
    assert_eq!(call.nodes[2].cascade.figures().await.unwrap().failovers, 0, "the root was well");
    call.end(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_children_of_a_dead_root_meet_at_the_next() {
    let _alone = ALONE.lock().await;
    let mut call = Call::start().await;
    let killed = Instant::now();
    call.nodes[0].kill().await;
    let (bob_heard, eve_heard) = (call.people[1].heard(1).len(), call.people[2].heard(1).len());
    run("those who are well hear each other", &mut call.people, |[_, bob, eve]| {
        bob.heard(1).len() > bob_heard + 50 && eve.heard(1).len() > eve_heard + 50
    })
    .await;
    println!("the others hear each other {:?} after the root was killed, a second of sound included", killed.elapsed());
    assert_eq!(call.nodes[2].cascade.figures().await.unwrap().failovers, 1);
    call.follow(0).await;
    run("ada is back", &mut call.people, |[ada, ..]| ada.heard(0).len() > 50 && ada.heard(1).len() > 50).await;
    println!("everyone hears everyone {:?} after the kill", killed.elapsed());
    let [_, second, third] = &call.nodes;
    until("the second is the root, with the third below it", async || {
        let pipes = second.pipes().await;
        pipes.contains(&(third.id, 1)).then_some(())
    })
    .await;
    call.end(0).await;
}
