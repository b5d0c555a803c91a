//! The HTTP server: JSON-RPC at `POST /`, `GET /health`, `GET /metrics`.

use super::methods::{Methods, PublicApiServer};
use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use chroom_rpc::telemetry::metrics_router;
use jsonrpsee::server::{BatchRequestConfig, Server, ServerConfig, stop_channel};
use prometheus_client::registry::Registry;
use std::{io, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::Service;
use tower_http::{cors::CorsLayer, timeout::TimeoutLayer};

/// Largest request in bytes.
const MAX_REQUEST: u32 = 64 * 1024;
/// Largest answer in bytes.
const MAX_ANSWER: u32 = 16 * 1024 * 1024;
/// Calls in a batch.
const MAX_BATCH: u32 = 32;
/// Requests answered at once.
const MAX_REQUESTS: u32 = 256;
/// Time for a request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Serves the public interface on `listener` until `shutdown`. Any web page may read it.
pub async fn serve(
    listener: TcpListener,
    methods: Methods,
    metrics: Arc<Registry>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let config = ServerConfig::builder()
        .http_only()
        .max_request_body_size(MAX_REQUEST)
        .max_response_body_size(MAX_ANSWER)
        .max_connections(MAX_REQUESTS)
        .set_batch_request_config(BatchRequestConfig::Limit(MAX_BATCH))
        .build();
    // The handle is kept until the end: its drop would stop the service.
    let (stop, _running) = stop_channel();
    let rpc = Server::builder().set_config(config).to_service_builder().build(methods.clone().into_rpc(), stop);
    let rpc = move |request: Request| {
        let mut rpc = rpc.clone();
        async move {
            match rpc.call(request).await {
                Ok(answer) => answer.map(Body::new),
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
            }
        }
    };
    let router = Router::new()
        .route("/health", get(health))
        .with_state(methods)
        .merge(metrics_router(metrics))
        .fallback(rpc)
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, TIMEOUT))
        .layer(CorsLayer::permissive());
    axum::serve(listener, router).with_graceful_shutdown(async move { shutdown.cancelled().await }).await
}

async fn health(State(methods): State<Methods>) -> Response {
    let health = methods.health().await;
    let status = if health.status == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}
