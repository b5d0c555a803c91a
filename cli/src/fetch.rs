//! A small HTTP client for health checks, `chroom doctor` and the demo server's proxy: bounded in time and size.

use crate::up::process::unix_ms;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{HeaderMap, Request, StatusCode, body::Bytes};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{Client, connect::Connect},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore};
use std::{io, sync::Arc, time::Duration};

/// Longest body that is taken, in bytes.
pub const LARGEST_BODY: usize = 8 * 1_024 * 1_024;

/// A request got no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL is none.
    #[error("{0} is no http:// or https:// URL")]
    Url(String),
    /// Nobody answered.
    #[error("{0} does not answer: {1}")]
    Unreachable(String, String),
    /// The certificate is no good.
    #[error("the certificate of {0} is no good: {1}")]
    Certificate(String, String),
    /// It took too long.
    #[error("{0} did not answer within {1:?}")]
    TimedOut(String, Duration),
    /// The answer is no success.
    #[error("{0} answered {1}: {2}")]
    Status(String, StatusCode, String),
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// When it was asked for, by this machine's clock, Unix ms.
    pub asked_ms: u64,
    /// When its head was there.
    pub answered_ms: u64,
}

/// The body of a successful GET.
pub async fn get(url: &str, limit: Duration) -> Result<Bytes, FetchError> {
    let request = Request::get(url).body(Full::<Bytes>::default()).map_err(|_| FetchError::Url(url.to_owned()))?;
    let reply = exchange(request, limit).await?;
    if reply.status.is_success() {
        return Ok(reply.body);
    }
    let text: String = String::from_utf8_lossy(&reply.body).chars().take(500).collect();
    Err(FetchError::Status(url.to_owned(), reply.status, text))
}

/// The answer to a request over `http://`, or over `https://` by the roots that the system trusts.
pub async fn exchange(request: Request<Full<Bytes>>, limit: Duration) -> Result<Reply, FetchError> {
    let url = request.uri().to_string();
    match request.uri().scheme_str() {
        Some("http") => {
            let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
            exchange_by(client, request, &url, limit).await
        }
        Some("https") => {
            let tls = tls_config().map_err(|error| FetchError::Unreachable(url.clone(), error.to_string()))?;
            let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
            let client = Client::builder(TokioExecutor::new()).build(connector);
            exchange_by(client, request, &url, limit).await
        }
        _ => Err(FetchError::Url(url)),
    }
}

async fn exchange_by<C: Connect + Clone + Send + Sync + 'static>(
    client: Client<C, Full<Bytes>>,
    request: Request<Full<Bytes>>,
    url: &str,
    limit: Duration,
) -> Result<Reply, FetchError> {
    let unreachable = |error: &(dyn std::error::Error + 'static)| match certificate_error(error) {
        Some(reason) => FetchError::Certificate(url.to_owned(), reason),
        None => FetchError::Unreachable(url.to_owned(), crate::failure::chain_of(error)),
    };
    let exchange = async {
        let asked_ms = unix_ms();
        let response = client.request(request).await.map_err(|error| unreachable(&error))?;
        let answered_ms = unix_ms();
        let (head, body) = response.into_parts();
        let body =
            Limited::new(body, LARGEST_BODY).collect().await.map_err(|error| unreachable(error.as_ref()))?.to_bytes();
        Ok(Reply { status: head.status, headers: head.headers, body, asked_ms, answered_ms })
    };
    tokio::time::timeout(limit, exchange).await.map_err(|_| FetchError::TimedOut(url.to_owned(), limit))?
}

/// TLS by the roots that the system trusts. Where it has none, no certificate is good.
pub fn tls_config() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    Ok(builder.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth())
}

/// What is wrong with the certificate, if that is what an error is about.
pub fn certificate_error(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls @ rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return Some(tls.to_string());
        }
        // An I/O error's source is that of what it was made of, which would be passed over.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inner.map(|inner| inner as &(dyn std::error::Error + 'static)).or_else(|| error.source());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, routing};

    async fn server() -> String {
        let app = Router::new()
            .route("/ok", routing::get(|| async { "fine" }))
            .route("/bad", routing::get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "not yet") }))
            .route("/never", routing::get(std::future::pending::<&'static str>))
            .route("/huge", routing::get(|| async { vec![0u8; LARGEST_BODY + 1] }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        url
    }

    #[test]
    fn a_certificates_fault_is_found_however_deep_it_is() {
        let fault = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let deep = io::Error::other(io::Error::other(fault));
        assert!(certificate_error(&deep).unwrap().contains("xpired"));
        assert_eq!(certificate_error(&io::Error::other("reset")), None);
    }

    #[tokio::test]
    async fn every_way_of_failing_is_told_apart() {
        let url = server().await;
        let limit = Duration::from_secs(20);
        assert_eq!(get(&format!("{url}/ok"), limit).await.unwrap(), "fine");
        assert!(
            matches!(get(&format!("{url}/bad"), limit).await, Err(FetchError::Status(_, StatusCode::SERVICE_UNAVAILABLE, text)) if text == "not yet")
        );
        assert!(matches!(get(&format!("{url}/never"), Duration::from_millis(50)).await, Err(FetchError::TimedOut(..))));
        assert!(matches!(get(&format!("{url}/huge"), limit).await, Err(FetchError::Unreachable(..))));
        assert!(matches!(get("http://127.0.0.1:1/", limit).await, Err(FetchError::Unreachable(..))));
        assert!(matches!(get("no url", limit).await, Err(FetchError::Url(_))));
    }
}
