//! A small HTTP client for health checks and the demo server's proxy: plain `http://`, bounded in time and size.

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, StatusCode, body::Bytes};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use std::time::Duration;

/// Longest body that is taken, in bytes.
pub const LARGEST_BODY: usize = 8 * 1_024 * 1_024;

/// A request got no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL is none.
    #[error("{0} is no http:// URL")]
    Url(String),
    /// Nobody answered.
    #[error("{0} does not answer: {1}")]
    Unreachable(String, String),
    /// It took too long.
    #[error("{0} did not answer within {1:?}")]
    TimedOut(String, Duration),
    /// The answer is no success.
    #[error("{0} answered {1}: {2}")]
    Status(String, StatusCode, String),
}

/// The body of a successful GET.
pub async fn get(url: &str, limit: Duration) -> Result<Bytes, FetchError> {
    let request = Request::get(url).body(Full::<Bytes>::default()).map_err(|_| FetchError::Url(url.to_owned()))?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let unreachable =
        |error: &dyn std::error::Error| FetchError::Unreachable(url.to_owned(), crate::failure::chain_of(error));
    let exchange = async {
        let response = client.request(request).await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST_BODY)
            .collect()
            .await
            .map_err(|error| unreachable(error.as_ref()))?
            .to_bytes();
        if status.is_success() {
            Ok(body)
        } else {
            let text: String = String::from_utf8_lossy(&body).chars().take(500).collect();
            Err(FetchError::Status(url.to_owned(), status, text))
        }
    };
    tokio::time::timeout(limit, exchange).await.map_err(|_| FetchError::TimedOut(url.to_owned(), limit))?
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
