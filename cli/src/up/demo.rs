//! The demo server of a local network: the built pages, tokens for the demo application, a view of the network.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` and other paths | files of the built pages (`--web`) |
//! | `GET /config` | `{ "orchestrators": ["ws://…"], "chain": "ws://…", "registries": ["http://…"] }` |
//! | `POST /token` with `{ "room", "identity"?, "name"?, "publish"?, "subscribe"?, "admin"? }` | `{ "token", "url": ["ws://…"], "identity" }` |
//! | `GET /network` | the orchestrator's `/v1/network`, from the first orchestrator that answers |
//!
//! It hands a token to whoever asks, which is right for a demonstration on loopback and nowhere else.

use crate::{
    failure::Failure,
    fetch,
    token::{self, Grants},
    up::process::unix_ms,
};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State, rejection::JsonRejection},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing,
};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tower_http::{
    cors::CorsLayer,
    services::{ServeDir, ServeFile},
};
use zeroize::Zeroizing;

/// Life of a demo token in seconds.
const TOKEN_LIFE: u64 = 6 * 60 * 60;

/// What the server needs to know.
pub struct Demo {
    /// Key id of the demo application.
    pub key: String,
    /// Its secret.
    pub secret: Zeroizing<Vec<u8>>,
    /// Signalling URLs.
    pub orchestrators: Vec<String>,
    /// HTTP URLs of the same orchestrators.
    pub orchestrators_http: Vec<String>,
    /// The chain's JSON-RPC.
    pub chain: String,
    /// The registries' public JSON-RPC.
    pub registries: Vec<String>,
    /// Built pages, if any.
    pub web: Option<PathBuf>,
}

#[derive(Deserialize)]
struct TokenRequest {
    room: String,
    identity: Option<String>,
    name: Option<String>,
    publish: Option<bool>,
    subscribe: Option<bool>,
    admin: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenAnswer {
    token: String,
    url: Vec<String>,
    identity: String,
}

/// The server's routes.
pub fn routes(demo: Demo) -> Router {
    let web = demo.web.clone();
    let router = Router::new()
        .route("/network", routing::get(network))
        .route("/config", routing::get(config))
        // Others' pages may look at the network, but get no tokens.
        .layer(CorsLayer::permissive())
        .route("/token", routing::post(issue))
        .layer(DefaultBodyLimit::max(16 * 1_024))
        .with_state(Arc::new(demo));
    match web {
        Some(dir) => {
            let index = ServeFile::new(dir.join("index.html"));
            router.fallback_service(ServeDir::new(dir).fallback(index))
        }
        None => router.fallback(|| async { Html(NO_PAGES) }),
    }
}

const NO_PAGES: &str = "<!doctype html><title>Chroom</title><p>This network runs without its web pages: \
    build them with <code>npm --prefix web run build</code> and start <code>chroom up --web web/dist</code>.";

fn refuse(failure: &Failure) -> Response {
    let status = if failure.wrong_usage { StatusCode::BAD_REQUEST } else { StatusCode::BAD_GATEWAY };
    (status, Json(serde_json::json!({ "error": failure.message, "hint": failure.hint }))).into_response()
}

async fn issue(State(demo): State<Arc<Demo>>, request: Result<Json<TokenRequest>, JsonRejection>) -> Response {
    let request = match request {
        Ok(Json(request)) => request,
        Err(rejection) => return refuse(&Failure::usage(rejection.body_text())),
    };
    let identity = request.identity.unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string());
    let grants = Grants {
        name: request.name.unwrap_or_else(|| identity.clone()),
        room: request.room,
        join: true,
        publish: request.publish.unwrap_or(true),
        subscribe: request.subscribe.unwrap_or(true),
        admin: request.admin.unwrap_or(false),
    };
    match token::sign(&demo.key, &demo.secret, &identity, &grants, unix_ms() / 1_000, TOKEN_LIFE) {
        Ok(token) => {
            let answer = TokenAnswer { token, url: demo.orchestrators.clone(), identity };
            ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
        }
        Err(failure) => refuse(&failure),
    }
}

async fn config(State(demo): State<Arc<Demo>>) -> Response {
    Json(serde_json::json!({
        "orchestrators": demo.orchestrators,
        "chain": demo.chain,
        "registries": demo.registries,
    }))
    .into_response()
}

async fn network(State(demo): State<Arc<Demo>>) -> Response {
    let mut last = None;
    for base in &demo.orchestrators_http {
        match fetch::get(&format!("{base}/v1/network"), Duration::from_secs(5)).await {
            Ok(body) => {
                let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
                return (headers, body).into_response();
            }
            Err(error) => last = Some(error),
        }
    }
    let why = last.map_or_else(|| "there is no orchestrator".to_owned(), |error| error.to_string());
    refuse(&Failure::new(why).hint("see the orchestrators' logs"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http_body_util::BodyExt;
    use hyper::Request;
    use tower::ServiceExt;

    fn demo(orchestrator: &str, web: Option<PathBuf>) -> Router {
        routes(Demo {
            key: "demo".into(),
            secret: Zeroizing::new(b"secret".to_vec()),
            orchestrators: vec!["ws://o".into()],
            orchestrators_http: vec![orchestrator.into()],
            chain: "ws://c".into(),
            registries: Vec::new(),
            web,
        })
    }

    async fn ask(router: Router, method: &str, path: &str, body: &str) -> (StatusCode, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    #[tokio::test]
    async fn a_token_is_handed_out_and_nonsense_is_refused_with_a_reason() {
        let (status, body) =
            ask(demo("http://127.0.0.1:1", None), "POST", "/token", r#"{"room":"r","name":"Ann"}"#).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["token"].as_str().unwrap().split('.').count(), 3);
        assert_eq!(answer["url"], serde_json::json!(["ws://o"]));
        for bad in ["", "{}", r#"{"room":""}"#, r#"{"room":5}"#] {
            let (status, body) = ask(demo("http://127.0.0.1:1", None), "POST", "/token", bad).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {body}");
            assert!(body.contains("error"), "{body}");
        }
    }

    #[tokio::test]
    async fn a_missing_orchestrator_is_said_and_pages_are_served() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("index.html"), "<h1>demo</h1>").unwrap();
        let router = demo("http://127.0.0.1:1", Some(dir.path().to_owned()));
        let (status, body) = ask(router.clone(), "GET", "/network", "").await;
        assert_eq!(status, StatusCode::BAD_GATEWAY);
        assert!(body.contains("does not answer"), "{body}");
        assert_eq!(ask(router.clone(), "GET", "/", "").await, (StatusCode::OK, "<h1>demo</h1>".into()));
        assert_eq!(ask(router, "GET", "/../../etc/passwd", "").await.1, "<h1>demo</h1>");
    }
}
