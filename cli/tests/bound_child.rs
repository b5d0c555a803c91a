//! The children of `chroom up` end with it, however it ends.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const CHROOM: &str = env!("CARGO_BIN_EXE_chroom");

fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} did not come about");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the process is there and no zombie.
fn lives(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

#[cfg(target_os = "linux")]
#[test]
fn a_bound_child_dies_with_its_parent_even_if_that_is_killed() {
    // A shell as the parent, which says its child's id and then waits for good.
    let script = format!("{CHROOM} run-bound $$ /bin/sleep 1000 & echo $!; wait");
    let mut parent = Command::new("/bin/sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let pid = line.trim().to_owned();
    until("becoming the program", || {
        std::fs::read_link(format!("/proc/{pid}/exe"))
            .is_ok_and(|exe| exe != Path::new(CHROOM) && !exe.ends_with("sh") && !exe.ends_with("dash"))
    });
    assert!(lives(&pid));
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("the child's end", || !lives(&pid));
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_whose_parent_is_gone_already_does_not_start() {
    let output = Command::new(CHROOM).args(["run-bound", "1", "/bin/echo", "started"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
}
