//! Servers that answer what a test wants to be answered.

use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::{get, options, post},
};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

pub struct Http {
    pub url: String,
}

impl Http {
    async fn serve(routes: Router) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url }
    }

    /// The HTTP interface of a media node with this status, whose count of strangers grows by `more` between two readings.
    pub async fn node(status: Value, strangers: u64, more: u64) -> Self {
        let count = Arc::new(AtomicU64::new(strangers));
        let metrics = move || {
            let count = count.fetch_add(more, Ordering::Relaxed);
            async move { format!("chroom_media_datagrams_unknown_total {count}\n# EOF\n") }
        };
        let routes = Router::new()
            .route("/health", get(async || "ok\n"))
            .route("/v1/status", get(move || async move { Json(status) }))
            .route("/metrics", get(metrics));
        Self::serve(routes).await
    }

    /// An orchestrator that hands out an ICE server, as a link, to who has this token.
    pub async fn orchestrator(token: &'static str, link: &str) -> Self {
        let link = link.to_owned();
        let about = move |headers: HeaderMap| async move {
            let known = headers.get(header::AUTHORIZATION).is_some_and(|given| given == &format!("Bearer {token}"));
            let mut answer = StatusCode::NO_CONTENT.into_response();
            if known {
                answer.headers_mut().append(header::LINK, link.parse().unwrap());
            }
            answer
        };
        let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
        let media = json!({ "role": "media", "online": true, "publicUrl": "http://m", "version": "0.1.0" });
        let view = move || async move { Json(json!({ "now": now(), "nodes": [media] })) };
        let routes = Router::new()
            .route("/health", get(async || "ok\n"))
            .route("/v1/network", get(view))
            .route("/whip", options(about));
        Self::serve(routes).await
    }
}

/// A registry with one entry.
pub async fn registry(entry: Value) -> Http {
    let answer = move |Json(request): Json<Value>| async move {
        let found = request["params"]["id"] == entry["node"];
        Json(json!({ "jsonrpc": "2.0", "id": request["id"], "result": found.then_some(entry) }))
    };
    Http::serve(Router::new().route("/", post(answer)).route("/health", get(async || "ok\n"))).await
}
