//! One network per data folder.

use crate::failure::{Context, Failure};
use std::{
    fs::{File, TryLockError},
    io::Write,
    path::Path,
};

/// Held while a network runs on a folder; the operating system frees it when the program ends, however it ends.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Takes the folder.
    pub fn take(data: &Path) -> Result<Self, Failure> {
        let path = data.join("lock");
        let what = format!("cannot open {}", path.display());
        let mut file = File::options().create(true).truncate(false).write(true).open(&path).context(&what)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).context(&what)?;
                Ok(Self(file))
            }
            Err(TryLockError::WouldBlock) => {
                let pid = std::fs::read_to_string(&path).unwrap_or_default();
                Err(Failure::new(format_args!(
                    "a network runs on {} already (process {})",
                    data.display(),
                    pid.trim()
                ))
                .hint("end it with Ctrl-C in its terminal, or use another folder (--data) and other ports (--base-port)"))
            }
            Err(TryLockError::Error(error)) => Err(Failure::new(format_args!("{what}: {error}"))),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file frees it anyway.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_takes_one_network_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let held = Lock::take(dir.path()).unwrap();
        assert!(Lock::take(dir.path()).unwrap_err().message.contains(&std::process::id().to_string()));
        drop(held);
        Lock::take(dir.path()).unwrap();
    }
}
