//! Rooms of several participants in one browser, and frames that nobody between the browsers can read.

use super::{Capture, Page, Place, check, namespace, turn::TurnServer, visit, visit_at};
use axum::{Router, response::Html, routing::get};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};

const SCRIPT: [(&str, &str); 1] = [("content-type", "text/javascript")];

/// The pages and their scripts.
pub(super) fn pages() -> Router<Page> {
    Router::new()
        .route("/parties", get(async || Html(include_str!("parties.html"))))
        .route("/sealed", get(async || Html(include_str!("sealed.html"))))
        .route("/screen", get(async || Html(include_str!("screen.html"))))
        .route("/roaming", get(async || Html(include_str!("roaming.html"))))
        .route("/ranked", get(async || Html(include_str!("ranked.html"))))
        .route("/relay", get(async || Html(include_str!("relay.html"))))
        .route("/room.js", get(async || (SCRIPT, include_str!("room.js"))))
        .route("/seal.js", get(async || (SCRIPT, include_str!("seal.js"))))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().filter_map(Value::as_f64).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_calls_of_two_four_and_nine() {
    let Some(result) = visit("/parties", None).await else { return };
    assert_eq!(result["error"], Value::Null, "{result}");
    let parties = result["parties"].as_array().unwrap();
    for (party, size) in parties.iter().zip([2, 4, 9]) {
        assert_eq!((&party["size"], &party["pictures"]), (&Value::from(size), &Value::from(size * (size - 1))));
        assert!(party["fewest"].as_f64().unwrap() > 8.0, "everybody sees everybody: {result}");
        let heights = numbers(&party["heights"]);
        assert!(heights[1] > heights[0] && heights[2] == heights[0], "one's layer is one's own: {result}");
    }
    assert_eq!(parties.len(), 3, "{result}");
    let ports = numbers(&result["restart"]["ports"]);
    assert_ne!(ports[0], ports[1], "the restart took another port: {result}");
    assert_eq!(result["restart"]["state"], "connected", "{result}");
}

/// A tab of the browser goes beside the camera, in its own size, and on when the camera stops.
async fn screen(codec: &str) {
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let place = Place { media: local, web: local, namespace: None, capture: Capture::Tab };
    let Some(result) = visit_at(place, &format!("/screen?codec={codec}"), None).await else { return };
    assert_eq!(result["error"], Value::Null, "{result}");
    assert_eq!(result["surface"], "browser", "a tab was captured, no camera: {result}");
    assert_eq!(result["shown"], result["captured"], "the screen comes as large as it was captured: {result}");
    assert_eq!(result["face"], 270, "and the camera beside it in its own size: {result}");
    // What is seen is the page itself: its background, within what coding makes of a colour.
    let colour = numbers(&result["colour"]);
    for (seen, painted) in colour.iter().zip([0.0, 160.0, 80.0]) {
        assert!((seen - painted).abs() < 24.0, "{result}");
    }
    let after = numbers(&result["after"]);
    assert!(after[0] >= 20.0 && after[1] == 0.0, "screen goes on, the camera does not: {result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_shows_its_screen_beside_its_camera() {
    screen("VP8").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_shows_its_screen_in_vp9() {
    screen("VP9").await;
}

async fn sealed(codec: &str) {
    let Some(result) = visit(&format!("/sealed?codec={codec}"), None).await else { return };
    assert_eq!(result["error"], Value::Null, "{result}");
    let figures = &result["figures"];
    assert!(figures["sealed"].as_u64().unwrap() > 100 && figures["opened"].as_u64().unwrap() > 100, "{result}");
    // Every frame carries a tag: not one bit was changed on the way.
    assert_eq!(figures["refused"], 0, "{result}");
    let heights = numbers(&result["heights"]);
    assert!(heights[1] > heights[0], "layers change under encryption: {result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_calls_with_vp8_frames_encrypted_end_to_end() {
    sealed("VP8").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_calls_with_av1_frames_encrypted_end_to_end() {
    sealed("AV1").await;
}

/// A client's address changes in the middle of a call. Skipped, with a word on standard error, where this user may make no network.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_goes_on_after_its_network_changed() {
    let Some(network) = namespace::Namespace::make().await else {
        eprintln!("skipped: no network namespace can be made here");
        return;
    };
    let place =
        Place { media: namespace::MEDIA, web: namespace::WEB, namespace: Some(network.into()), capture: Capture::Fake };
    let Some(result) = visit_at(place, "/roaming", None).await else { return };
    assert_eq!(result["error"], Value::Null, "{result}");
    for (before, after) in result["before"].as_array().unwrap().iter().zip(result["after"].as_array().unwrap()) {
        assert_ne!(before, after, "{result}");
        assert_eq!(after, namespace::AFTER, "{result}");
    }
}

/// A client whose network lets no UDP out calls over TCP. Skipped, with a word on standard error, where this user may make no such network.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_calls_without_udp() {
    let Some(network) = namespace::Namespace::make().await.filter(namespace::Namespace::without_udp) else {
        eprintln!("skipped: no network namespace without UDP can be made here");
        return;
    };
    let place =
        Place { media: namespace::MEDIA, web: namespace::WEB, namespace: Some(network.into()), capture: Capture::Fake };
    let Some(result) = visit_at(place, "/?codec=VP8", None).await else { return };
    check(&result);
    assert_eq!(result["protocols"], serde_json::json!(["tcp", "tcp"]), "{result}");
}

/// Clients that get no further than to a TURN server call through it. Skipped, with a word on standard error, where there is no coturn or this user
/// may make no such network.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_calls_through_a_turn_server() {
    let Some(network) = namespace::Namespace::make().await else {
        eprintln!("skipped: no network namespace can be made here");
        return;
    };
    let Some(server) = TurnServer::start(namespace::MEDIA) else {
        eprintln!("skipped: no TURN server found (Debian: coturn)");
        return;
    };
    assert!(network.only_to(server.address.port()), "rules by ports");
    let place =
        Place { media: namespace::MEDIA, web: namespace::WEB, namespace: Some(network.into()), capture: Capture::Fake };
    let servers = Value::from(vec![server.for_client("p1")]).to_string();
    let servers: String = servers.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let Some(result) = visit_at(place, &format!("/relay?servers={servers}"), None).await else { return };
    assert_eq!(result["error"], Value::Null, "{result}");
    for path in result["paths"].as_array().unwrap() {
        assert_eq!((&path["type"], &path["relayProtocol"]), (&Value::from("relay"), &Value::from("udp")), "{result}");
        assert_eq!(path["address"], Value::from(namespace::MEDIA.to_string()), "the server's own: {result}");
    }
    for received in result["received"].as_array().unwrap() {
        assert!(received["frames"].as_u64().unwrap() > 20 && received["audio"].as_u64().unwrap() > 50, "{result}");
    }
}

/// A line gets too narrow for all videos: some are paused, the one that is pinned then plays, and all are heard. Skipped, with a word on standard
/// error, where this user may make no network.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_sees_the_pinned_video_on_a_narrow_line() {
    let Some(network) = namespace::Namespace::make().await else {
        eprintln!("skipped: no network namespace can be made here");
        return;
    };
    let place =
        Place { media: namespace::MEDIA, web: namespace::WEB, namespace: Some(network.into()), capture: Capture::Fake };
    let Some(result) = visit_at(place, "/ranked", None).await else { return };
    assert_eq!(result["error"], Value::Null, "{result}");
    // Against what was sent in the same time: how much that is is this machine's affair.
    let [frames, audio, sent_frames, sent_audio] =
        ["frames", "audio", "sentFrames", "sentAudio"].map(|what| numbers(&result["after"][what]));
    let pinned = usize::try_from(result["pinned"].as_u64().unwrap()).unwrap();
    assert!(frames[pinned] > sent_frames[pinned] / 2.0, "it goes on playing: {result}");
    // What was paused is tried again now and then, for a moment.
    let gave_way = |(frames, sent): (&f64, &f64)| *frames < sent / 4.0;
    assert!(frames.iter().zip(&sent_frames).any(gave_way), "another one gave way to it: {result}");
    for (packets, sent) in audio.iter().zip(sent_audio) {
        assert!(*packets > sent * 0.75, "three quarters of the sound at least: {result}");
    }
}
