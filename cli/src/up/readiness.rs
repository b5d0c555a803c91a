//! Waiting for a process to be of use: its health, or the reason why it never will be.

use super::process::{Views, tail};
use crate::failure::Failure;
use std::{future::Future, path::Path, time::Duration};
use tokio::sync::watch;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// Waits until `probe` gives a value. Fails, with the end of the log, when the supervisor has given the process up or the
/// time is over.
pub async fn wait_for<T, P, F>(
    name: &str,
    log: &Path,
    views: &watch::Receiver<Views>,
    limit: Duration,
    mut probe: P,
) -> Result<T, Failure>
where
    P: FnMut() -> F,
    F: Future<Output = Result<T, String>>,
{
    let began = tokio::time::Instant::now();
    loop {
        let last = match probe().await {
            Ok(value) => return Ok(value),
            Err(reason) => reason,
        };
        let given_up = views.borrow().get(name).is_some_and(|view| view.state == "given-up");
        let why = if given_up {
            "keeps ending".to_owned()
        } else if began.elapsed() >= limit {
            format!("is not ready after {} s ({last})", limit.as_secs())
        } else {
            tokio::time::sleep(INTERVAL).await;
            continue;
        };
        return Err(Failure::new(format_args!("{name} {why}; the end of its log:\n{}", tail(log, 15).trim_end()))
            .hint(format_args!("the whole log is {}", log.display())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::up::{plan::Kind, process::View};

    fn views(state: &'static str) -> watch::Receiver<Views> {
        let view = View {
            name: "media-1".into(),
            kind: Kind::Media,
            pid: None,
            state,
            restarts: 0,
            started_ms: None,
            log: "log".into(),
        };
        watch::Sender::new(Views::from([("media-1".to_owned(), view)])).subscribe()
    }

    #[tokio::test]
    async fn it_waits_until_the_probe_succeeds() {
        let mut looks = 0;
        let probe = || {
            looks += 1;
            let now = looks;
            async move { if now < 3 { Err("not yet".to_owned()) } else { Ok(now) } }
        };
        let limit = Duration::from_secs(10);
        assert_eq!(wait_for("media-1", Path::new("none"), &views("running"), limit, probe).await, Ok(3));
    }

    #[tokio::test]
    async fn it_says_why_it_gave_up() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        std::fs::write(&log, "error: unknown flag\n").unwrap();
        let never = || async { Err::<(), _>("connection refused".to_owned()) };
        let limit = Duration::ZERO;
        let slow = wait_for("media-1", &log, &views("running"), limit, never).await.unwrap_err();
        assert!(
            slow.message.contains("after 0 s (connection refused)") && slow.message.contains("unknown flag"),
            "{slow}"
        );
        let dead = wait_for("media-1", &log, &views("given-up"), Duration::from_secs(10), never).await.unwrap_err();
        assert!(dead.message.contains("keeps ending"), "{dead}");
    }
}
