//! Defaults that a local network leaves for other commands: `network.json` in its data folder.

use std::path::PathBuf;

/// Where the file is, unless `CHROOM_NETWORK` names another.
const FILE: &str = ".chroom/local/network.json";
/// Largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;
/// The chain's JSON-RPC when nothing says otherwise.
const CHAIN: &str = "ws://127.0.0.1:9944";
/// A registry's public JSON-RPC when nothing says otherwise.
const REGISTRY: &str = "http://127.0.0.1:7300";

/// What the file says, if there is one.
fn network() -> Option<serde_json::Value> {
    let path = std::env::var_os("CHROOM_NETWORK").map_or_else(|| PathBuf::from(FILE), PathBuf::from);
    if std::fs::metadata(&path).ok()?.len() > LARGEST {
        return None;
    }
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// The chain's URLs: those given, else the local network's, else the usual one.
pub fn chain(given: &[String]) -> Vec<String> {
    if !given.is_empty() {
        return given.to_vec();
    }
    let from_file = network().and_then(|network| network.get("chain")?.as_str().map(str::to_owned));
    vec![from_file.unwrap_or_else(|| CHAIN.to_owned())]
}

/// The registries' URLs: those given, else the local network's, else the usual one.
pub fn registries(given: &[String]) -> Vec<String> {
    if !given.is_empty() {
        return given.to_vec();
    }
    let from_file = network().and_then(|network| {
        let list = network.get("registries")?.as_array()?;
        Some(list.iter().filter_map(|registry| registry.get("http")?.as_str().map(str::to_owned)).collect::<Vec<_>>())
    });
    match from_file {
        Some(urls) if !urls.is_empty() => urls,
        _ => vec![REGISTRY.to_owned()],
    }
}
