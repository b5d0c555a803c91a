//! Refusals as HTTP answers: problem details (RFC 9457) with the slugs and hints that signalling gives.

use crate::{
    session::Refusal,
    signalling::{error_object, slug},
};
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

/// Seconds after which to try again where that may help.
const RETRY_S: u16 = 2;

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    reason: &'static str,
    detail: String,
    hint: &'static str,
    more: Map<String, Value>,
    retry: bool,
    /// `WWW-Authenticate` (RFC 6750, section 3).
    challenge: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, reason: &'static str, detail: impl Into<String>, hint: &'static str) -> Self {
        Self { status, reason, detail: detail.into(), hint, more: Map::new(), retry: false, challenge: None }
    }

    /// No token came.
    pub(super) fn no_token() -> Self {
        let hint = "send the access token as `Authorization: Bearer …`; see docs/signalling.md";
        Self {
            challenge: Some("Bearer realm=\"chroom\""),
            ..Self::new(StatusCode::UNAUTHORIZED, "token-missing", "there is no access token", hint)
        }
    }

    /// The reason's slug.
    pub(super) fn reason(&self) -> &'static str {
        self.reason
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::TokenInvalid(_) | Refusal::TokenExpired(_) => StatusCode::UNAUTHORIZED,
            Refusal::NotPermitted { .. } | Refusal::Application(_) => StatusCode::FORBIDDEN,
            Refusal::NoMediaNode(_) | Refusal::TooDear { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::NoSession(_) => StatusCode::NOT_FOUND,
            Refusal::MediaNodeFailed(_) => StatusCode::BAD_GATEWAY,
            Refusal::OfferRefused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Refusal::TooManyRequests(_) => StatusCode::TOO_MANY_REQUESTS,
            Refusal::InvalidParams(_) | Refusal::ReceiptRefused(_) => StatusCode::BAD_REQUEST,
            Refusal::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let data = error_object(&refusal);
        let data: Option<Map<String, Value>> = data.data().and_then(|data| serde_json::from_str(data.get()).ok());
        let mut problem = Self::new(status, slug(&refusal), refusal.to_string(), "");
        problem.more = data.unwrap_or_default();
        problem.retry =
            matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY | StatusCode::TOO_MANY_REQUESTS);
        if status == StatusCode::UNAUTHORIZED {
            problem.challenge = Some("Bearer realm=\"chroom\", error=\"invalid_token\"");
        }
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = self.more;
        body.insert("type".to_owned(), json!("about:blank"));
        body.insert("title".to_owned(), json!(self.status.canonical_reason().unwrap_or_default()));
        body.insert("status".to_owned(), json!(self.status.as_u16()));
        body.insert("detail".to_owned(), json!(self.detail));
        body.insert("reason".to_owned(), json!(self.reason));
        body.entry("hint").or_insert_with(|| json!(self.hint));
        let mut response = Response::new(Body::from(Value::Object(body).to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_S));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}
