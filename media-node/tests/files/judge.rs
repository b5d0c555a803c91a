//! ffmpeg's word on a file.

use serde_json::Value;
use std::{path::Path, process::Command};

/// Runs a program that must succeed without a word on its error output; what it printed.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; `scripts/setup.sh test` installs it"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{program} {arguments:?}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// A stream of a file, all of it decoded.
#[derive(Debug, PartialEq)]
pub struct Stream {
    pub codec: String,
    pub size: Option<(u64, u64)>,
    /// Frames that came out of the decoder.
    pub frames: usize,
}

/// Decodes a whole file, in which nothing may be wrong; what its streams are.
pub fn streams(path: &Path) -> Vec<Stream> {
    streams_but(path, "warning")
}

/// The same where what is less than this level may be said.
pub fn streams_but(path: &Path, level: &str) -> Vec<Stream> {
    let path = path.to_str().unwrap();
    run("ffmpeg", &["-v", level, "-xerror", "-i", path, "-f", "null", "-"]);
    let shown = "stream=codec_name,width,height,nb_read_frames";
    let told = run("ffprobe", &["-v", level, "-count_frames", "-show_entries", shown, "-of", "json", path]);
    let told: Value = serde_json::from_str(&told).unwrap();
    let streams = told["streams"].as_array().unwrap().iter().map(|stream| Stream {
        codec: stream["codec_name"].as_str().unwrap().to_owned(),
        size: stream["width"].as_u64().zip(stream["height"].as_u64()),
        frames: stream["nb_read_frames"].as_str().unwrap().parse().unwrap(),
    });
    streams.collect()
}

/// The length that a file's header tells.
pub fn seconds(path: &Path) -> f64 {
    let shown = ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", path.to_str().unwrap()];
    run("ffprobe", &shown).trim().parse().unwrap()
}

/// A hash of each decoded picture.
pub fn pictures(path: &Path) -> Vec<String> {
    hashes(&["-i", path.to_str().unwrap()])
}

/// The same, by libvpx instead of ffmpeg's own decoder.
pub fn pictures_by_libvpx(path: &Path) -> Vec<String> {
    hashes(&["-c:v", "libvpx-vp9", "-i", path.to_str().unwrap()])
}

fn hashes(input: &[&str]) -> Vec<String> {
    let listed = run("ffmpeg", &[&["-v", "error"], input, &["-an", "-f", "framemd5", "-"]].concat());
    let lines = listed.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect()
}
