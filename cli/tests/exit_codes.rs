//! What scripts rely on: exit codes, JSON on the right stream, no secret needed on the command line.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Output},
};

fn chroom(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chroom"))
        .args(arguments)
        .current_dir(dir)
        .env_remove("CHROOM_PASSPHRASE")
        .env_remove("CHROOM_CHAIN")
        .env_remove("CHROOM_NETWORK")
        .output()
        .unwrap()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(bytes)))
}

#[test]
fn a_wallet_is_made_shown_and_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pass"), "correct horse\n").unwrap();
    let create = ["wallet", "create", "--light", "--out", "w.json", "--passphrase-file", "pass", "--json"];
    let made = chroom(dir.path(), &create);
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    let made = json(&made.stdout);
    let shown = chroom(dir.path(), &["wallet", "show", "w.json", "--passphrase-file", "pass", "--json"]);
    assert_eq!(json(&shown.stdout), made);
    let address = chroom(dir.path(), &["wallet", "export-address", "w.json"]);
    assert_eq!(String::from_utf8_lossy(&address.stdout).trim(), made["node"].as_str().unwrap());
    let again = chroom(dir.path(), &create);
    assert_eq!(again.status.code(), Some(1));
    assert!(again.stdout.is_empty());
    assert!(json(&again.stderr)["error"].as_str().unwrap().contains("exists already"));
    std::fs::write(dir.path().join("pass"), "wrong\n").unwrap();
    let wrong = chroom(dir.path(), &["wallet", "show", "w.json", "--passphrase-file", "pass"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("wrong passphrase"));
}

#[test]
fn a_known_key_gives_the_known_address() {
    let dir = tempfile::tempdir().unwrap();
    // The first account of the development mnemonic that EVM tools share.
    std::fs::write(dir.path().join("key"), "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80\n")
        .unwrap();
    std::fs::write(dir.path().join("pass"), "p").unwrap();
    let import = [
        "wallet",
        "import",
        "--light",
        "--secret-file",
        "key",
        "--out",
        "w.json",
        "--passphrase-file",
        "pass",
        "--json",
    ];
    let made = chroom(dir.path(), &import);
    assert_eq!(json(&made.stdout)["node"], "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266");
}

#[test]
fn wrong_usage_exits_with_2_and_a_dead_network_with_1() {
    let dir = tempfile::tempdir().unwrap();
    for wrong in [
        &["frobnicate"][..],
        &["wallet", "create"],
        &["rewards", "show", "0x12"],
        &["up", "--media", "0"],
        &["up", "--base-port", "80"],
        &["up", "--web", "."],
        &["evidence"],
        &["evidence", "report", "--file", "e.json"],
        &["evidence", "list", "--node", "0x12"],
    ] {
        assert_eq!(chroom(dir.path(), wrong).status.code(), Some(2), "{wrong:?}");
    }
    let dead = chroom(dir.path(), &["registry", "ls", "--registry-url", "http://127.0.0.1:1", "--json"]);
    assert_eq!(dead.status.code(), Some(1));
    let failure = json(&dead.stderr);
    assert!(failure["error"].as_str().unwrap().contains("does not answer"));
    assert!(failure["hint"].as_str().unwrap().contains("--registry-url"));
}

#[test]
fn a_process_that_cannot_run_ends_the_start_with_its_log() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    for program in ["chroom-node", "chroom-registry", "chroom-media-node", "chroom-orchestrator"] {
        let path = dir.path().join(program);
        std::fs::write(&path, "#!/bin/sh\necho out of order >&2\nexit 3\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let up = Command::new(env!("CARGO_BIN_EXE_chroom"))
        .args(["up", "--data", "net", "--base-port", "28100", "--json"])
        .current_dir(dir.path())
        .env("CHROOM_BIN_DIR", dir.path())
        .output()
        .unwrap();
    assert_eq!(up.status.code(), Some(1));
    assert!(up.stdout.is_empty());
    let text = String::from_utf8_lossy(&up.stderr);
    assert!(text.contains("validator") && text.contains("keeps ending") && text.contains("out of order"), "{text}");
    let processes = json(&std::fs::read(dir.path().join("net/processes.json")).unwrap());
    assert!(processes.as_array().unwrap().iter().all(|process| process["pid"].is_null()), "{processes}");
}
