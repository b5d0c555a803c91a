//! A client on the same engine, without sockets and with a clock of its own.

use super::{peer::Str0m, *};
use std::{collections::VecDeque, time::Duration};
use str0m::{
    Candidate, Event, Input, Rtc, RtcConfig,
    change::SdpAnswer,
    media::{Direction, MediaKind},
    net::{Protocol, Receive},
};

const CLIENT: &str = "192.0.2.1:40000";
const NODE: &str = "192.0.2.2:7000";
const STEP: Duration = Duration::from_millis(1);

/// What lets media flow to a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sign {
    Ready,
    ChannelOpen,
}

/// Milliseconds after the offer at which the connection is up, and media may flow; and what was the sign of it.
fn up_and_ready(data: bool) -> (u32, u32, Sign) {
    let (client, node): (SocketAddr, SocketAddr) = (CLIENT.parse().unwrap(), NODE.parse().unwrap());
    let mut now = Instant::now();
    let mut connection = Str0m::new(false).open(now, node, "p");
    let mut rtc = RtcConfig::new().build(now);
    rtc.add_local_candidate(Candidate::host(client, "udp").unwrap());
    let mut api = rtc.sdp_api();
    api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
    if data {
        api.add_channel("chroom".into());
    }
    let (offer, pending) = api.apply().unwrap();
    let (answer, _) = connection.accept(&offer.to_sdp_string()).unwrap();
    rtc.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(&answer).unwrap()).unwrap();
    let mut up = None;
    for ms in 0..5_000 {
        for datagram in client_turn(&mut rtc, now) {
            connection.receive(now, client, &datagram).unwrap();
            let (out, ready) = node_turn(&mut connection, now, &mut up, ms);
            if let Some((ready, sign)) = ready {
                return (up.unwrap(), ready, sign);
            }
            for datagram in out {
                let receive = Receive::new(Protocol::Udp, node, client, &datagram).unwrap();
                rtc.handle_input(Input::Receive(now, receive)).unwrap();
            }
        }
        connection.tick(now).unwrap();
        if let (_, Some((ready, sign))) = node_turn(&mut connection, now, &mut up, ms) {
            return (up.unwrap(), ready, sign);
        }
        now += STEP;
    }
    panic!("never ready; up after {up:?} ms");
}

fn client_turn(rtc: &mut Rtc, now: Instant) -> VecDeque<Vec<u8>> {
    let mut out = VecDeque::new();
    loop {
        match rtc.poll_output().unwrap() {
            str0m::Output::Timeout(at) if at <= now => rtc.handle_input(Input::Timeout(now)).unwrap(),
            str0m::Output::Timeout(_) => return out,
            str0m::Output::Transmit(transmit) => out.push_back(transmit.contents.to_vec()),
            str0m::Output::Event(Event::Connected | _) => {}
        }
    }
}

fn node_turn(
    connection: &mut impl Connection,
    now: Instant,
    up: &mut Option<u32>,
    ms: u32,
) -> (VecDeque<Vec<u8>>, Option<(u32, Sign)>) {
    let (mut out, mut ready) = (VecDeque::new(), None);
    loop {
        match connection.poll(now).unwrap() {
            Output::Idle(_) => return (out, ready),
            Output::Transmit(_, datagram) => out.push_back(datagram),
            Output::Happening(Happening::Connected) => *up = Some(ms),
            Output::Happening(Happening::Ready) => ready = ready.or(Some((ms, Sign::Ready))),
            Output::Happening(Happening::ChannelOpen(_)) => ready = ready.or(Some((ms, Sign::ChannelOpen))),
            Output::Happening(_) => {}
        }
    }
}

#[test]
fn who_offers_no_data_channel_is_not_waited_for() {
    let (up, ready, sign) = up_and_ready(false);
    assert_eq!((ready, sign), (up, Sign::Ready));
}

#[test]
fn a_data_channel_is_waited_for() {
    let (_, _, sign) = up_and_ready(true);
    assert_eq!(sign, Sign::ChannelOpen);
}
