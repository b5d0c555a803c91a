//! Calls between connections of a real Chromium, through the SFU: what browsers offer must be understood. Skipped, with a word
//! on standard error, where no Chromium is installed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "browser/namespace.rs"]
mod namespace;
#[path = "browser/parties.rs"]
mod parties;
#[path = "browser/turn.rs"]
mod turn;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::Html,
    routing::{get, post},
};
use chroom_media_node::sfu::{
    Sfu, SfuConfig,
    event::CloseReason,
    id::{Mid, SessionId},
    priority::Priority,
    router::{Opening, Publish, Subscribe},
};
use namespace::Namespace;
use serde::Deserialize;
use serde_json::Value;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc;

#[derive(Clone)]
struct Page {
    sfu: Arc<Sfu>,
    results: mpsc::Sender<Value>,
    namespace: Option<Arc<Namespace>>,
}

/// Where a call takes place.
struct Place {
    /// The media node's address.
    media: IpAddr,
    /// The page's.
    web: IpAddr,
    /// The browser's network, if it has one of its own.
    namespace: Option<Arc<Namespace>>,
    /// What its pages capture.
    capture: Capture,
}

/// What pages capture.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Capture {
    /// Cameras, microphones and screens that Chromium makes up.
    Fake,
    /// The tab that they are in; there is no camera.
    Tab,
}

impl Capture {
    /// Flags that answer in the place of a person.
    const fn flags(self) -> [&'static str; 2] {
        match self {
            Capture::Fake => ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"],
            // Nobody is there to click before getDisplayMedia.
            Capture::Tab => {
                ["--auto-accept-this-tab-capture", "--disable-features=GetDisplayMediaRequiresUserActivation"]
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Negotiation {
    session: u8,
    sdp: String,
    #[serde(default)]
    publish: Vec<(String, String, String)>,
    #[serde(default)]
    subscribe: Vec<(String, String, u32)>,
    /// Of all that is subscribed to.
    #[serde(default)]
    priority: String,
}

fn wishes(subscribe: Vec<(String, String, u32)>, priority: &str) -> Vec<Subscribe> {
    let priority = if priority == "high" { Priority::High } else { Priority::default() };
    subscribe
        .into_iter()
        .map(|(mid, track, max_height)| Subscribe {
            mid: Mid::parse(&mid).unwrap(),
            track: Some(track.parse().unwrap()),
            max_height,
            priority,
        })
        .collect()
}

async fn negotiate(State(page): State<Page>, Json(body): Json<Negotiation>) -> Result<String, (StatusCode, String)> {
    let room = "room".parse().unwrap();
    let session = SessionId([body.session; 16]);
    let opening = Opening {
        room,
        session,
        participant: format!("p{}", body.session).parse().unwrap(),
        publish: true,
        subscribe: true,
        uplink_kbps: 0,
    };
    let room = opening.room.clone();
    // Open already in a later negotiation.
    let _ = page.sfu.open(opening).unwrap().done().await.unwrap();
    let publish = body
        .publish
        .into_iter()
        .map(|(mid, track, source)| Publish { mid: Mid::parse(&mid).unwrap(), track: track.parse().unwrap(), source })
        .collect();
    let pending =
        page.sfu.negotiate(&room, session, body.sdp, publish, wishes(body.subscribe, &body.priority)).unwrap();
    pending.done().await.unwrap().map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

async fn subscribe(State(page): State<Page>, Json(body): Json<Negotiation>) -> Result<(), (StatusCode, String)> {
    let room = "room".parse().unwrap();
    let wishes = wishes(body.subscribe, &body.priority);
    let pending = page.sfu.subscribe(&room, SessionId([body.session; 16]), wishes).unwrap();
    pending.done().await.unwrap().map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

async fn result(State(page): State<Page>, Json(body): Json<Value>) {
    page.results.send(body).await.unwrap();
}

async fn roam(State(page): State<Page>) -> StatusCode {
    if page.namespace.is_some_and(|namespace| namespace.roam()) { StatusCode::OK } else { StatusCode::CONFLICT }
}

#[derive(Deserialize)]
struct Narrow {
    kbps: u32,
}

async fn narrow(State(page): State<Page>, Json(Narrow { kbps }): Json<Narrow>) -> StatusCode {
    if page.namespace.is_some_and(|namespace| namespace.narrow(kbps)) { StatusCode::OK } else { StatusCode::CONFLICT }
}

const PAGE: &str = include_str!("browser.html");

struct Chromium(Child);

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn chromium(url: &str, profile: &std::path::Path, place: &Place) -> Option<Chromium> {
    ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|name| {
        // `ip netns exec` starts whatever the name: whether there is such a browser has to be asked first.
        Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
        let mut command = match &place.namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", &namespace.name, name]);
                command
            }
            None => Command::new(name),
        };
        command
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"])
            .args(place.capture.flags())
            .args(["--no-first-run", "--disable-background-timer-throttling", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("--unsafely-treat-insecure-origin-as-secure={url}"))
            .arg(url)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()
            .map(Chromium)
    })
}

/// One browser at a time: they are what is slow here.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn call(codec: &str, loss: Option<f64>) -> Option<Value> {
    let lossy = if loss.is_some() { "&lossy" } else { "" };
    call_with(&format!("codec={codec}{lossy}"), loss).await
}

/// A call with what the page is told.
async fn call_with(query: &str, loss: Option<f64>) -> Option<Value> {
    visit(&format!("/?{query}"), loss).await
}

/// What a page reports of its call.
async fn visit(page: &str, loss: Option<f64>) -> Option<Value> {
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    visit_at(Place { media: local, web: local, namespace: None, capture: Capture::Fake }, page, loss).await
}

async fn visit_at(place: Place, page: &str, loss: Option<f64>) -> Option<Value> {
    let _turn = TURN.lock().await;
    let config =
        SfuConfig { listen: SocketAddr::new(place.media, 0), tcp: true, advertise: None, shards: 1, egress_loss: loss };
    let sfu = Arc::new(Sfu::start(&config).unwrap());
    let (results, mut got) = mpsc::channel(4);
    let state = Page { sfu: sfu.clone(), results, namespace: place.namespace.clone() };
    let router = Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/negotiate", post(negotiate))
        .route("/subscribe", post(subscribe))
        .route("/result", post(result))
        .route("/roam", post(roam))
        .route("/narrow", post(narrow))
        .merge(parties::pages())
        .with_state(state);
    let listener = tokio::net::TcpListener::bind((place.web, 0)).await.unwrap();
    // getUserMedia wants a secure context, which a loopback address is; others are said to be one.
    let url = format!("http://{}{page}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let profile = tempfile::tempdir().unwrap();
    let Some(browser) = chromium(&url, profile.path(), &place) else {
        eprintln!("skipped: no Chromium found");
        return None;
    };
    let value = tokio::time::timeout(Duration::from_secs(300), got.recv()).await.expect("the page reports in time");
    let (_, stats) = sfu.stats(None).await.unwrap();
    eprintln!("{page}: {}\n{stats:#?}", value.as_ref().unwrap());
    drop(browser);
    server.abort();
    sfu.stop(CloseReason::Draining).await;
    value
}

fn check(result: &Value) {
    assert_eq!(result["error"], Value::Null, "{result}");
    let number = |field: &str| result[field].as_f64().unwrap_or(-1.0);
    assert!(number("framesDecoded") > 30.0 && number("audioPackets") > 50.0, "{result}");
    assert!(number("audioLevel") > 0.01, "the fake device beeps: {result}");
    assert_eq!(result["message"], "p1:ping", "{result}");
    assert_eq!(result["afterSwitch"], Value::Bool(true), "frames went on after changes of layer: {result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_calls_with_vp8_simulcast() {
    if let Some(result) = call("VP8", None).await {
        check(&result);
        let heights: Vec<f64> = result["heights"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        assert!(heights.len() >= 2 && heights[0] < heights[1], "the layer followed the wish: {result}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_calls_with_h264() {
    if let Some(result) = call("H264", None).await {
        check(&result);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_calls_with_vp9() {
    if let Some(result) = call("VP9", None).await {
        check(&result);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_goes_on_when_a_tenth_is_lost() {
    if let Some(result) = call("VP8", Some(0.1)).await {
        check(&result);
        assert!(result["audioLost"].as_f64().unwrap() > 0.0, "{result}");
    }
}

/// A stream with layers: smaller, taller, smaller again.
fn check_layers(result: &Value, mode: &str) {
    check(result);
    let heights: Vec<f64> = result["heights"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
    assert_eq!(heights.len(), 3, "{result}");
    assert!(heights[0] < heights[1] && heights[2] == heights[0], "{result}");
    // All of it came out of one stream: the publisher went on with the same layers.
    assert_eq!(result["sent"][0], mode, "{result}");
    assert!(result["sent"][1].as_f64().unwrap() >= heights[1], "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_calls_with_vp9_layers() {
    if let Some(result) = call_with("codec=VP9&mode=L2T3", None).await {
        check_layers(&result, "L2T3");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_calls_with_vp9_layers_that_stand_apart() {
    if let Some(result) = call_with("codec=VP9&mode=L2T3_KEY", None).await {
        check_layers(&result, "L2T3_KEY");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_calls_with_av1_layers() {
    if let Some(result) = call_with("codec=AV1&mode=L2T3&descriptor", None).await {
        check_layers(&result, "L2T3");
        assert_eq!(result["extensions"], true, "{result}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_calls_with_av1() {
    if let Some(result) = call("AV1", None).await {
        check(&result);
    }
}
