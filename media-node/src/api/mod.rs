//! The public HTTP interface: status, scores, health, metrics. It shows the node, never its callers.

pub mod quality;
pub mod status;

use crate::{
    health::Health,
    place::Place,
    qos::{publisher::Presence, scores::Scores},
    rpc::events::now_ms,
};
use axum::{
    Json, Router,
    extract::State,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use chroom_chain_client::Membership;
use chroom_primitives::{CapacityClass, NodeId};
use chroom_rpc::telemetry;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use quality::Quality;
use status::Status;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::sync::watch;
use tower_http::{
    cors::{Any, CorsLayer},
    timeout::TimeoutLayer,
};
use utoipa::OpenApi;

/// What the interface shows.
#[derive(Clone)]
pub struct ApiState {
    /// The node.
    pub node: NodeId,
    /// Its place.
    pub place: Place,
    /// Its class.
    pub class: CapacityClass,
    /// Its endpoint for orchestrators.
    pub rpc: String,
    /// Where clients send media.
    pub media: SocketAddr,
    /// Where other media nodes' pipes end.
    pub pipes: SocketAddr,
    /// Its health.
    pub health: Arc<Health>,
    /// Its presence in the register.
    pub presence: Arc<Mutex<Presence>>,
    /// The register on the chain.
    pub membership: watch::Receiver<Arc<Membership>>,
    /// The quality that it gives, by its own figures.
    pub scores: Arc<Mutex<Scores>>,
}

/// The document that describes the interface.
#[derive(OpenApi)]
#[openapi(
    info(title = "Chroom media node", description = "Public data of a media node. Nothing here is about callers."),
    paths(get_status, get_scores, get_health),
    components(schemas(Status, Quality))
)]
struct Document;

/// The routes.
pub fn router(state: ApiState, metrics: Arc<Registry>) -> Router {
    let cors = CorsLayer::new().allow_origin(Any).allow_methods([Method::GET]).max_age(Duration::from_secs(3_600));
    Router::new()
        .route("/v1/status", get(get_status))
        .route("/v1/scores", get(get_scores))
        .route("/v1/openapi.json", get(openapi))
        .route("/health", get(get_health))
        .with_state(state)
        .merge(telemetry::metrics_router(metrics))
        .layer(cors)
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_secs(10)))
}

/// Everything public about the node.
#[utoipa::path(get, path = "/v1/status", responses((status = 200, description = "The node's status", body = Status)))]
async fn get_status(State(state): State<ApiState>) -> Json<Status> {
    Json(status::status(&state))
}

/// The quality that the node gave in the last day, hour by hour, by its own figures over all its sessions.
#[utoipa::path(get, path = "/v1/scores", responses((status = 200, description = "Recent scores", body = Quality)))]
async fn get_scores(State(state): State<ApiState>) -> Json<Quality> {
    Json(quality::quality(&state.scores.lock(), now_ms()))
}

/// Whether the node serves.
#[utoipa::path(
    get,
    path = "/health",
    responses(
        (status = 200, description = "It serves and takes new sessions"),
        (status = 503, description = "It takes no new sessions; the text says why")
    )
)]
async fn get_health(State(state): State<ApiState>) -> Response {
    match state.health.closed() {
        None => (StatusCode::OK, "ok\n").into_response(),
        Some(closed) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", closed.as_str())).into_response(),
    }
}

async fn openapi() -> Response {
    let mut document = Document::openapi();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    match document.to_json() {
        Ok(json) => ([(axum::http::header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_describes_what_is_served() {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        for path in ["/v1/status", "/v1/scores", "/health"] {
            assert!(document["paths"][path]["get"].is_object(), "{path}");
        }
        let schemas = &document["components"]["schemas"];
        for (schema, field) in
            [("Status", "media"), ("Limits", "roomSessions"), ("Quality", "hours"), ("Hour", "score")]
        {
            assert!(schemas[schema]["properties"][field].is_object(), "{schema}.{field}");
        }
    }
}
