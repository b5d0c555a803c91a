//! Janus's configuration: Debian's defaults, but for what a run on loopback needs and what would only cost.

use super::link;
use crate::{client::handshake::Identity, sfu::SfuError};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{fs, path::Path};

/// Everything that the video room over a Unix socket doesn't need.
const PLUGINS: [&str; 11] = [
    "audiobridge",
    "echotest",
    "nosip",
    "recordplay",
    "sip",
    "streaming",
    "textroom",
    "videocall",
    "voicemail",
    "lua",
    "duktape",
];
const TRANSPORTS: [&str; 5] = ["http", "websockets", "rabbitmq", "mqtt", "nanomsg"];

/// What can be chosen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Configuration {
    /// Threads that serve all peers together; 0: each peer has its own, the default.
    pub event_loops: u16,
}

impl Configuration {
    pub(super) fn write(&self, folder: &Path, identity: &Identity) -> Result<(), SfuError> {
        let path = |name: &str| folder.join(name).display().to_string();
        let (certificate, key) = identity.der();
        fs::write(path("certificate.pem"), pem("CERTIFICATE", certificate))?;
        fs::write(path("key.pem"), pem("PRIVATE KEY", key))?;
        let libraries =
            |names: &[&str]| names.iter().map(|name| format!("libjanus_{name}.so")).collect::<Vec<_>>().join(",");
        let loops = if self.event_loops > 0 { format!("event_loops = {}", self.event_loops) } else { String::new() };
        let main = format!(
            "general: {{ configs_folder = \"{}\"; debug_level = 3; debug_colors = false; session_timeout = 0; {loops} }}\n\
             certificates: {{ cert_pem = \"{}\"; cert_key = \"{}\" }}\n\
             media: {{ ipv6 = false }}\n\
             nat: {{ ice_lite = true; ice_enforce_list = \"{}\" }}\n\
             plugins: {{ disable = \"{}\" }}\n\
             transports: {{ disable = \"{}\" }}\n\
             events: {{ broadcast = false }}\n",
            folder.display(),
            path("certificate.pem"),
            path("key.pem"),
            crate::namespace::SERVER,
            libraries(&PLUGINS),
            libraries(&TRANSPORTS),
        );
        fs::write(path("janus.jcfg"), main)?;
        fs::write(path("janus.plugin.videoroom.jcfg"), "general: { }\n")?;
        let socket = path(link::SERVER);
        let transport =
            format!("general: {{ enabled = true; json = \"compact\"; path = \"{socket}\"; type = \"SOCK_DGRAM\" }}\n");
        Ok(fs::write(path("janus.transport.pfunix.jcfg"), transport)?)
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_and_nothing_listens_beyond_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::new().unwrap();
        Configuration { event_loops: 1 }.write(folder.path(), &identity).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(read("janus.jcfg").contains("event_loops = 1"));
        assert!(TRANSPORTS.iter().all(|name| read("janus.jcfg").contains(&format!("libjanus_{name}.so"))));
        let key = read("key.pem");
        let body: String = key.lines().filter(|line| !line.starts_with('-')).collect();
        assert_eq!(STANDARD.decode(body).unwrap(), identity.der().1);
        assert!(key.lines().all(|line| line.len() <= 64));
    }
}
