//! Janus's API over a Unix datagram socket: requests and replies matched by their transactions, one at a time.

use crate::sfu::SfuError;
use serde_json::{Value, json};
use std::{
    io::{self, ErrorKind},
    os::unix::net::UnixDatagram,
    path::Path,
    time::{Duration, Instant},
};

/// Longest wait for a reply: a session's candidates are gathered in it.
const PATIENCE: Duration = Duration::from_secs(20);
/// Largest message of the server: descriptions of a few hundred streams.
const MESSAGE: usize = 1 << 20;
/// Larger ones the server cuts off (its buffer has 8,192 bytes).
const MAX_REQUEST: usize = 8_191;
/// Name of the server's socket in its folder.
pub(super) const SERVER: &str = "janus";

pub(super) struct Link {
    socket: UnixDatagram,
    buffer: Vec<u8>,
    next: u64,
}

/// A plugin's answer, and the description that came with it.
type Told = (Value, Option<String>);

impl Link {
    /// Connects to the server that is starting up in this folder, for as long as `alive`.
    pub(super) fn open(folder: &Path, mut alive: impl FnMut() -> bool) -> Result<Self, SfuError> {
        let socket = UnixDatagram::bind(folder.join("load"))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let begun = Instant::now();
        while let Err(error) = socket.connect(folder.join(SERVER)) {
            if !alive() {
                return Err(SfuError::Ended);
            }
            if begun.elapsed() > PATIENCE {
                return Err(error.into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { socket, buffer: vec![0; MESSAGE], next: 0 })
    }

    /// A new handle of the video room plugin.
    pub(super) fn attach(&mut self, session: u64) -> Result<u64, SfuError> {
        let plugin = "janus.plugin.videoroom";
        let reply = self.ask(json!({ "janus": "attach", "session_id": session, "plugin": plugin }))?;
        super::id(&reply).ok_or(SfuError::Missing("handle"))
    }

    /// Sends a request; returns the reply.
    pub(super) fn ask(&mut self, request: Value) -> Result<Value, SfuError> {
        self.exchange(request, false)
    }

    /// Sends a message to the plugin, with a description if there is one; returns what the plugin said.
    pub(super) fn tell(
        &mut self,
        session: u64,
        handle: u64,
        body: &Value,
        description: Option<(&str, &str)>,
    ) -> Result<Told, SfuError> {
        let mut request = json!({ "janus": "message", "session_id": session, "handle_id": handle, "body": body });
        // The generator names a simulcast's smallest layer first.
        if let (Some((kind, sdp)), Some(request)) = (description, request.as_object_mut()) {
            request.insert("jsep".into(), json!({ "type": kind, "sdp": sdp, "trickle": false, "rid_order": "lmh" }));
        }
        let reply = self.exchange(request, true)?;
        let data = reply.pointer("/plugindata/data").cloned().unwrap_or_default();
        if let Some(error) = data.get("error").and_then(Value::as_str) {
            return Err(SfuError::Refused(error.into()));
        }
        let sdp = reply.pointer("/jsep/sdp").and_then(Value::as_str).map(str::to_owned);
        Ok((data, sdp))
    }

    /// An acknowledgement isn't yet the reply to a plugin's message.
    fn exchange(&mut self, mut request: Value, plugin: bool) -> Result<Value, SfuError> {
        self.next += 1;
        let transaction = self.next.to_string();
        if let Some(request) = request.as_object_mut() {
            request.insert("transaction".into(), transaction.as_str().into());
        }
        let bytes = request.to_string();
        if bytes.len() > MAX_REQUEST {
            return Err(SfuError::Refused(format!("a request has {} bytes, more than it reads", bytes.len())));
        }
        self.socket.send(bytes.as_bytes())?;
        let begun = Instant::now();
        loop {
            let size = match self.socket.recv(&mut self.buffer) {
                Ok(size) => size,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(SfuError::Silent(PATIENCE));
                }
                Err(error) => return Err(error.into()),
            };
            let bytes = self.buffer.get(..size).unwrap_or_default();
            let reply: Value = serde_json::from_slice(bytes).map_err(io::Error::from)?;
            let is = |name: &str, value: &str| reply.get(name).and_then(Value::as_str) == Some(value);
            if is("transaction", &transaction) && !(plugin && is("janus", "ack")) {
                return match reply.pointer("/error/reason").and_then(Value::as_str) {
                    Some(reason) => Err(SfuError::Refused(reason.into())),
                    None => Ok(reply),
                };
            }
            // Events that nobody asked for keep coming; they must not prolong the wait.
            if begun.elapsed() > PATIENCE {
                return Err(SfuError::Silent(PATIENCE));
            }
        }
    }
}
