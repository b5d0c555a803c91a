//! The routes of WHIP and WHEP.

use super::{
    fragment::{self, Fragment},
    offer::{Direction, MAX_SDP, Offer, OfferError},
    problem::Problem,
    resource::{Change, Changed, Opening},
    resources::Owner,
    viewer::{Choice, Viewer},
};
use crate::{
    ice::IceServer,
    metrics::Reason,
    session::Refusal,
    signalling::{Service, place},
    time::now_ms,
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Query, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, patch, post},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;
use std::sync::Arc;
use tracing::{debug, info};

const SDP: &str = "application/sdp";
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
/// Greatest height that makes sense.
const MAX_HEIGHT: u32 = 8_640;
/// Longest identity in bytes.
const MAX_IDENTITY: usize = 64;
/// The participant's name towards TURN servers before it has one.
const NOBODY: &str = "whip";

type Answer = Result<Response, Problem>;

/// The routes: an endpoint and its resources per protocol.
pub(crate) fn routes(service: Arc<Service>) -> Router {
    Router::new()
        .route("/whip", endpoint(Direction::Sends))
        .route("/whip/{id}", resource(Direction::Sends))
        .route("/whep", endpoint(Direction::Receives))
        .route("/whep/{id}", resource(Direction::Receives))
        .layer(middleware::from_fn(cross_origin))
        .with_state(service)
}

fn endpoint(direction: Direction) -> MethodRouter<Arc<Service>> {
    post(async move |State(service): State<Arc<Service>>, query: Query<Wishes>, request: Request| {
        answer(&service, open(&service, direction, query.0, request).await)
    })
    .options(async |State(service): State<Arc<Service>>, headers: HeaderMap| about(&service, &headers))
}

fn resource(direction: Direction) -> MethodRouter<Arc<Service>> {
    patch(async move |State(service): State<Arc<Service>>, Path(id): Path<String>, request: Request| {
        answer(&service, change(&service, direction, &id, request).await)
    })
    .delete(async move |State(service): State<Arc<Service>>, Path(id): Path<String>, headers: HeaderMap| {
        answer(&service, close(&service, direction, &id, &headers).await)
    })
    .options(async || {
        let headers = [(ACCEPT_PATCH, fragment::MEDIA_TYPE), (header::ALLOW, "PATCH, DELETE, OPTIONS")];
        (StatusCode::NO_CONTENT, headers)
    })
}

/// What a client may wish for in the endpoint's query.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wishes {
    /// Where it is, an H3 cell in hex: for choosing a media node.
    cell: Option<String>,
    /// WHEP: whom to show, nobody else.
    identity: Option<String>,
    /// WHEP: greatest height of the picture.
    max_height: Option<u32>,
}

/// Lets pages of other origins in: a token says who may, not where the page is from. `*` does not cover `Authorization` (Fetch, section
/// 3.3.4), so headers are listed.
async fn cross_origin(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST, PATCH, DELETE, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, if-match"),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "location, etag, link, accept-post, accept-patch, retry-after, www-authenticate",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "7200"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn answer(service: &Service, result: Answer) -> Response {
    service.metrics.requests.inc();
    match result {
        Ok(response) => response,
        Err(problem) => {
            service.metrics.refused.get_or_create(&Reason { reason: problem.reason() }).inc();
            debug!(?problem, "a WHIP or WHEP request is refused");
            problem.into_response()
        }
    }
}

/// The bearer token (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The media type without parameters is this one.
fn expect_type(headers: &HeaderMap, expected: &'static str) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = given.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let detail = format!("the body has to be {expected}");
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", detail, "set Content-Type"))
}

/// The body as text, of bounded length.
async fn text(body: Body, most: usize) -> Result<String, Problem> {
    let bytes = axum::body::to_bytes(body, most).await.map_err(|_| {
        let detail = format!("the body has at most {most} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail, "offer fewer codecs and m-lines")
    })?;
    String::from_utf8(bytes.into()).map_err(|_| Refusal::InvalidParams("the body is not UTF-8".to_owned()).into())
}

impl From<OfferError> for Problem {
    fn from(error: OfferError) -> Self {
        let status = match error {
            OfferError::Malformed(_) => StatusCode::BAD_REQUEST,
            OfferError::Unsupported(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Problem::new(status, "bad-offer", error.to_string(), "see docs/whip.md")
    }
}

/// `OPTIONS` of an endpoint: what it takes, and for who shows a good token the ICE servers, before there is an offer.
fn about(service: &Service, headers: &HeaderMap) -> Response {
    let plain = [(ACCEPT_POST, SDP), (header::ALLOW, "POST, OPTIONS")];
    let mut response = (StatusCode::NO_CONTENT, plain).into_response();
    if bearer(headers).is_some_and(|token| service.check_token(token).is_ok()) {
        add_links(response.headers_mut(), &service.ice.for_client(NOBODY, now_ms() / 1_000));
    }
    response
}

/// ICE servers as links (RFC 9725, section 4.6), one URL each.
fn add_links(headers: &mut HeaderMap, servers: &[IceServer]) {
    for server in servers {
        let credentials = match (&server.username, &server.credential) {
            // Digits, an id and base64: nothing that quotes would have to be escaped for.
            (Some(name), Some(password)) => {
                format!("; username=\"{name}\"; credential=\"{password}\"; credential-type=\"password\"")
            }
            _ => String::new(),
        };
        for url in &server.urls {
            if let Ok(mut link) = HeaderValue::from_str(&format!("<{url}>; rel=\"ice-server\"{credentials}")) {
                link.set_sensitive(!credentials.is_empty());
                headers.append(header::LINK, link);
            }
        }
    }
}

async fn open(service: &Arc<Service>, direction: Direction, wishes: Wishes, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    expect_type(&parts.headers, SDP)?;
    let token = bearer(&parts.headers).ok_or_else(Problem::no_token)?;
    let checked = service.check_token(token)?;
    let needs = match direction {
        Direction::Sends if !checked.grants.publish => Some("publish"),
        Direction::Receives if !checked.grants.subscribe => Some("subscribe"),
        _ => None,
    };
    if let Some(needs) = needs {
        return Err(Refusal::NotPermitted { needs }.into());
    }
    let offer = Offer::parse(&text(body, MAX_SDP).await?, direction)?;
    let identity = wishes.identity.filter(|identity| !identity.is_empty());
    if identity.as_ref().is_some_and(|identity| identity.len() > MAX_IDENTITY) {
        return Err(Refusal::InvalidParams("`identity` has at most 64 bytes".to_owned()).into());
    }
    let choice = Choice { identity, max_height: wishes.max_height.unwrap_or(0).min(MAX_HEIGHT) };
    let (publish, viewer) = match direction {
        Direction::Sends => (offer.publications()?, None),
        Direction::Receives => (Vec::new(), Some(Viewer::new(offer.lines(), choice))),
    };
    let owner = Owner::new(token, checked.clone());
    let join = service.join(checked, keyless(), place(wishes.cell.as_deref())?).await?;
    let opening = Opening { join, offer, publish, viewer };
    let (id, opened) = service.resources.open(direction, owner, opening).await?;
    let path = match direction {
        Direction::Sends => "whip",
        Direction::Receives => "whep",
    };
    info!(path, participant = opened.participant, "a WHIP or WHEP resource is open");
    let mut response = (StatusCode::CREATED, opened.answer).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(SDP));
    headers.insert(ACCEPT_PATCH, HeaderValue::from_static(fragment::MEDIA_TYPE));
    for (name, value) in [(header::LOCATION, format!("/{path}/{id}")), (header::ETAG, opened.etag)] {
        let value = HeaderValue::try_from(value).map_err(|_| Refusal::Internal("a header cannot be written"))?;
        headers.insert(name, value);
    }
    add_links(headers, &service.ice.for_client(&opened.participant, now_ms() / 1_000));
    Ok(response)
}

/// A receipt key that nobody has: clients of these protocols sign no receipts.
fn keyless() -> [u8; 33] {
    loop {
        // Nearly every number is a key.
        if let Ok(key) = p256::ecdsa::SigningKey::from_slice(&rand::random::<[u8; 32]>()) {
            return chroom_rpc::receipt::public_key(&key);
        }
    }
}

/// Checks that the request may speak for a resource.
fn admit(service: &Service, direction: Direction, id: &str, headers: &HeaderMap) -> Result<(), Problem> {
    let token = bearer(headers).ok_or_else(Problem::no_token)?;
    let owner = service.resources.owner(direction, id).ok_or_else(gone)?;
    if owner.holds(token) {
        return Ok(());
    }
    let checked = service.check_token(token)?;
    if owner.is(&checked) {
        return Ok(());
    }
    let detail = "the resource is of another participant";
    Err(Problem::new(StatusCode::FORBIDDEN, "not-yours", detail, "use a token with the same room and identity"))
}

fn gone() -> Problem {
    let detail = "there is no such resource, or it is over";
    Problem::new(StatusCode::NOT_FOUND, "no-session", detail, "POST a new offer to the endpoint")
}

async fn change(service: &Service, direction: Direction, id: &str, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    admit(service, direction, id, &parts.headers)?;
    expect_type(&parts.headers, fragment::MEDIA_TYPE)?;
    let etags = parts.headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok()).ok_or_else(|| {
        let hint = "send the ETag for candidates, or * for an ICE restart (RFC 9725, section 4.3)";
        Problem::new(StatusCode::PRECONDITION_REQUIRED, "no-if-match", "there is no If-Match", hint)
    })?;
    let fragment = Fragment::parse(&text(body, fragment::MAX_FRAGMENT).await?)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "bad-fragment", error.to_string(), "see RFC 8840"))?;
    let change = match (etags.trim(), fragment.ice) {
        ("*", Some(ice)) => Change::Restart(ice),
        ("*", None) => {
            let detail = "an ICE restart needs a=ice-ufrag and a=ice-pwd";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "bad-fragment", detail, "see RFC 8840"));
        }
        (etags, _) => Change::Trickle { etags: etags.to_owned() },
    };
    match service.resources.change(id, change).await.ok_or_else(gone)?? {
        Changed::Noted => Ok(StatusCode::NO_CONTENT.into_response()),
        Changed::Stale => {
            let detail = "If-Match names another ICE session than the one that runs";
            Err(Problem::new(StatusCode::PRECONDITION_FAILED, "stale-etag", detail, "use the newest ETag"))
        }
        Changed::Restarted(restarted) => {
            let etag =
                HeaderValue::try_from(restarted.etag).map_err(|_| Refusal::Internal("a header cannot be written"))?;
            let kind = HeaderValue::from_static(fragment::MEDIA_TYPE);
            Ok((StatusCode::OK, [(header::ETAG, etag), (header::CONTENT_TYPE, kind)], restarted.fragment)
                .into_response())
        }
    }
}

async fn close(service: &Service, direction: Direction, id: &str, headers: &HeaderMap) -> Answer {
    admit(service, direction, id, headers)?;
    if service.resources.close(id).await { Ok(StatusCode::OK.into_response()) } else { Err(gone()) }
}
