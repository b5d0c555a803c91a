//! The port: WebSocket upgrades go to JSON-RPC, everything else to plain HTTP.

use super::{
    methods::{Connection, Service},
    network::network,
    share::{Shares, TOO_MANY},
};
use crate::metrics::Reason;
use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use chroom_rpc::{guests::Place, network::Network};
use jsonrpsee::server::{
    BatchRequestConfig, HttpBody, HttpRequest, HttpResponse, PingConfig, Server, ServerConfig, TowerServiceBuilder,
    serve_with_graceful_shutdown, stop_channel, ws,
};
use prometheus_client::registry::Registry;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;
use tower_http::cors::{Any, CorsLayer};
use tracing::{debug, warn};

/// How often clients are pinged, and how many answers they may miss.
const PING: Duration = Duration::from_secs(5);
const PING_MISSED: Duration = Duration::from_secs(15);
/// How long connections have to end when the server ends.
const DRAIN: Duration = Duration::from_secs(2);

/// The server cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The methods clash.
    #[error("the methods cannot be registered: {0}")]
    Methods(#[from] jsonrpsee::core::RegisterMethodError),
}

/// Serves clients on `listener` until cancelled.
pub async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    registry: Arc<Registry>,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let limits = service.limits;
    let methods: jsonrpsee::Methods = service.clone().module()?.into();
    let config = ServerConfig::builder()
        .max_request_body_size(limits.message)
        .max_response_body_size(limits.message.saturating_mul(4))
        .max_connections(limits.connections)
        .max_subscriptions_per_connection(2)
        .set_batch_request_config(BatchRequestConfig::Disabled)
        .set_message_buffer_capacity(256)
        .enable_ws_ping(PingConfig::new().ping_interval(PING).inactive_limit(PING_MISSED).max_failures(1))
        .ws_only()
        .build();
    let builder = Server::builder().set_config(config).to_service_builder();
    let router = router(service.clone(), registry);
    let sockets = Arc::new(Semaphore::new(limits.sockets));
    let shares = Shares::new(limits.sockets_per_address);
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (socket, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: it passes.
                warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(of_address) = shares.admit(from.ip()) else {
            debug!("an address has its share of connections");
            service.metrics.refused.get_or_create(&Reason { reason: TOO_MANY }).inc();
            tasks.spawn(shares.turn_away(socket));
            continue;
        };
        let Ok(of_all) = sockets.clone().try_acquire_owned() else {
            debug!("too many connections");
            continue;
        };
        let _ = socket.set_nodelay(true);
        let (builder, methods, router, service) = (builder.clone(), methods.clone(), router.clone(), service.clone());
        let stop = stop.child_token();
        let tracker = tasks.clone();
        let places = Arc::new(Places { _of_all: of_all, _of_address: of_address });
        tasks.spawn(async move {
            let asked = CancellationToken::new();
            let on_request = {
                let stop = stop.clone();
                let asked = asked.clone();
                let places = places.clone();
                tower::service_fn(move |request: HttpRequest<hyper::body::Incoming>| {
                    asked.cancel();
                    let (builder, methods, router, service, stop, tracker, places) = (
                        builder.clone(),
                        methods.clone(),
                        router.clone(),
                        service.clone(),
                        stop.clone(),
                        tracker.clone(),
                        places.clone(),
                    );
                    async move {
                        if !ws::is_upgrade_request(&request) {
                            let answer = router.oneshot(request.map(Body::new)).await;
                            return Ok::<_, Infallible>(match answer {
                                Ok(response) => response.map(HttpBody::new),
                                Err(never) => match never {},
                            });
                        }
                        Ok(upgrade(request, builder, methods, service, &stop, &tracker, places).await)
                    }
                })
            };
            let silent = async {
                if tokio::time::timeout(Duration::from_secs(limits.silent_s), asked.cancelled()).await.is_ok() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                served = serve_with_graceful_shutdown(socket, on_request, stop.cancelled_owned()) => {
                    if let Err(error) = served {
                        debug!(%error, "a connection ended with an error");
                    }
                }
                () = silent => debug!("a connection without a request is closed"),
            }
        });
    }
    tasks.close();
    let _ = tokio::time::timeout(DRAIN, async { tokio::join!(tasks.wait(), service.resources.end()) }).await;
    Ok(())
}

/// What a connection holds until it ends, WebSocket and all.
struct Places {
    _of_all: OwnedSemaphorePermit,
    _of_address: Place<Network>,
}

type Builder = TowerServiceBuilder<tower::layer::util::Identity, tower::layer::util::Identity>;

/// Takes a WebSocket: it gets a connection id, its events, and an end of its own.
async fn upgrade(
    mut request: HttpRequest<hyper::body::Incoming>,
    builder: Builder,
    methods: jsonrpsee::Methods,
    service: Arc<Service>,
    stop: &CancellationToken,
    tracker: &TaskTracker,
    places: Arc<Places>,
) -> HttpResponse {
    let Some((id, events)) = service.sessions.attach().await else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "this orchestrator is ending");
    };
    let ends = stop.child_token();
    let connection = Arc::new(Connection::new(id, events, &service.limits, ends.clone()));
    let (stop_handle, server_handle) = stop_channel();
    request.extensions_mut().insert(connection.clone());
    let mut rpc = builder.build(methods, stop_handle);
    let closed = rpc.on_session_closed();
    let response = match tower::Service::call(&mut rpc, request).await {
        Ok(response) => response,
        Err(error) => {
            debug!(%error, "a WebSocket cannot be opened");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "the WebSocket cannot be opened")
        }
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        service.sessions.detach(id).await;
        return response;
    }
    tracker.spawn(async move {
        let mut entered = connection.entered.subscribe();
        let idle = async {
            let patience = Duration::from_secs(service.limits.idle_s);
            if tokio::time::timeout(patience, entered.wait_for(|entered| *entered)).await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        tokio::pin!(closed);
        tokio::select! {
            () = &mut closed => {}
            () = ends.cancelled() => {
                let _ = server_handle.stop();
                let _ = tokio::time::timeout(DRAIN, &mut closed).await;
            }
            () = idle => {
                debug!(connection = id.0, "a connection without a session is closed");
                let _ = server_handle.stop();
                let _ = tokio::time::timeout(DRAIN, &mut closed).await;
            }
        }
        service.sessions.detach(id).await;
        drop(places);
    });
    response
}

fn refuse(status: StatusCode, text: &'static str) -> HttpResponse {
    (status, text).into_response().map(HttpBody::new)
}

fn router(service: Arc<Service>, registry: Arc<Registry>) -> Router {
    let whip = crate::whip::routes(service.clone());
    let cors = CorsLayer::new().allow_origin(Any).allow_methods([http::Method::GET]).allow_headers(Any);
    Router::new()
        .route("/health", get(health))
        .route("/v1/network", get(view))
        .with_state(service)
        .merge(chroom_rpc::telemetry::metrics_router(registry))
        .fallback(async || {
            let text =
                "here are: a WebSocket on /, POST /whip, POST /whep, GET /health, GET /metrics, GET /v1/network\n";
            (StatusCode::NOT_FOUND, text)
        })
        .layer(cors)
        .merge(whip)
}

async fn health(State(service): State<Arc<Service>>) -> Response {
    let chain = service.index.chain();
    let media = crate::index::Directory::media_nodes(&*service.index).len();
    let body = serde_json::json!({ "status": "ok", "block": chain.block, "mediaNodes": media });
    Json(body).into_response()
}

async fn view(State(service): State<Arc<Service>>) -> Response {
    Json(network(&service.index, &*service.chain).await).into_response()
}
