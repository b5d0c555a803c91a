//! The target that `CHROOM_FUZZ` names, for libFuzzer: `make fuzz`.
#![no_main]
#![allow(clippy::panic, reason = "wrong usage ends it")]

use std::{path::PathBuf, sync::LazyLock};

static TARGET: LazyLock<chroom_fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("CHROOM_FUZZ").unwrap_or_default();
    let names = chroom_fuzz::TARGETS.map(|target| target.name).join(", ");
    chroom_fuzz::target(&name).unwrap_or_else(|| panic!("CHROOM_FUZZ is one of {names}"))
});

/// The seeds go where libFuzzer looks for inputs to begin with.
fn plant() {
    let Some(corpus) = std::env::var_os("CHROOM_FUZZ_CORPUS").map(PathBuf::from) else { return };
    for (number, seed) in (TARGET.seeds)().into_iter().enumerate() {
        if let Err(error) = std::fs::write(corpus.join(format!("seed-{number}")), seed) {
            panic!("{}: {error}", corpus.display());
        }
    }
}

libfuzzer_sys::fuzz_target!(init: plant(), |input: &[u8]| (TARGET.run)(input));
