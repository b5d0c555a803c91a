//! Where files go.

use std::{
    fs::{self, File},
    io::{self, Seek, Write},
    path::{Path, PathBuf},
};

/// A file that is being written.
pub trait Sink: Write + Seek + Send {}

impl<T: Write + Seek + Send> Sink for T {}

/// The folder of one recording.
pub trait Storage: Send {
    /// Makes a new file.
    fn create(&mut self, name: &str) -> io::Result<Box<dyn Sink>>;
    /// Writes a small file whole, in the place of the one of that name, if there is one.
    fn replace(&mut self, name: &str, contents: &[u8]) -> io::Result<()>;
}

/// A folder on disk.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes a new folder. One that is there already is refused: no recording overwrites another.
    pub fn create(parent: &Path, name: &str) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        let path = parent.join(name);
        fs::create_dir(&path)?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Storage for Folder {
    fn create(&mut self, name: &str) -> io::Result<Box<dyn Sink>> {
        Ok(Box::new(File::create_new(self.path.join(name))?))
    }

    fn replace(&mut self, name: &str, contents: &[u8]) -> io::Result<()> {
        let draft = self.path.join(format!(".{name}.new"));
        fs::write(&draft, contents)?;
        fs::rename(draft, self.path.join(name))
    }
}
