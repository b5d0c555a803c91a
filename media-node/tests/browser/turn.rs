//! A TURN server (coturn) for a test, with the credentials that orchestrators give.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const SECRET: &str = "a secret of this test alone";

pub(super) struct TurnServer {
    process: Child,
    pub(super) address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl TurnServer {
    /// Starts one at this address; none where coturn is not installed.
    pub(super) fn start(ip: IpAddr) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        // Free now, and nobody else asks for ports here.
        let address = UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let process = Command::new("turnserver")
            .args(["-n", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp", "--no-multicast-peers", "--fingerprint"])
            .args(["--use-auth-secret", "--static-auth-secret", SECRET, "--realm", "chroom.test"])
            .args(["--listening-ip", &ip.to_string(), "--listening-port", &address.port().to_string()])
            .args(["--relay-ip", &ip.to_string()])
            .args(["--pidfile", &at("pid"), "--userdb", &at("db"), "--log-file", "stdout"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        Some(Self { process, address, _folder: folder })
    }

    /// What an orchestrator tells a client of it (draft-uberti-behave-turn-rest-00), as `RTCPeerConnection` takes it.
    pub(super) fn for_client(&self, participant: &str) -> serde_json::Value {
        let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(600);
        let username = format!("{}:{participant}", end.as_secs());
        let mut mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(username.as_bytes());
        let credential = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        let urls = format!("turn:{}?transport=udp", self.address);
        serde_json::json!({ "urls": urls, "username": username, "credential": credential })
    }
}

impl Drop for TurnServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
