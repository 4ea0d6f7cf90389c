//! `--cursor FILE`: the last id, saved for the next run.
//!
//! The file is replaced atomically, and is on the disk before a write counts as done: a temporary
//! file next to it is written, synced and renamed over it, and the folder is synced. Whenever the
//! process or the machine stops, the file contains one complete id, either the new or the previous
//! one.
//!
//! The file keeps its permissions. Only its owner can read a new one: the id is chosen by the
//! server, and may be all that is needed to resume the stream.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use crate::client_builder::can_be_sent;
use crate::duration;
use crate::report::Problem;

#[derive(Debug, Args)]
#[command(next_help_heading = "Resuming in another run")]
pub(crate) struct CursorArgs {
    /// Save the last event id in this file, and resume after the id in it. The id is saved, and
    /// synced to the disk, after its event has been written.
    #[arg(long, value_name = "FILE")]
    pub(crate) cursor: Option<PathBuf>,

    /// While events arrive fast, save the cursor at most once in this time. It is always saved
    /// before waiting for more events. 0s: after every event.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "0s", requires = "cursor")]
    pub(crate) cursor_every: Duration,
}

/// The maximum length of an id in a cursor.
const LONGEST: u64 = 64 * 1024;
const TOO_LONG: &str = "its content is too long for an id";

pub(crate) struct Cursor {
    path: PathBuf,
    temporary: PathBuf,
    every: Duration,
    /// The id in the file.
    written: String,
    /// The id to write, if it differs.
    pending: Option<String>,
    last_write: Option<Instant>,
}

impl Cursor {
    /// Reads the file, if there is one.
    pub(crate) fn open(args: &CursorArgs) -> Result<Option<Cursor>, Problem> {
        let Some(path) = &args.cursor else {
            return Ok(None);
        };
        let shown = path.display();
        let written = match read(path) {
            Ok(id) => id,
            Err(error) => {
                return Err(Problem::because(&format!("the cursor {shown} can't be read"), &error)
                    .hint("a cursor is a file with one id; without --cursor, the stream starts at its beginning"));
            }
        };
        // Replaces the target of a symlink, not the link.
        let path = &fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let Some(name) = path.file_name() else {
            return Err(Problem::new(format!("the cursor {shown} isn't a file")));
        };
        // Reported now, not after the first event.
        if !folder(path).is_dir() {
            return Err(
                Problem::new(format!("the folder of the cursor {shown} doesn't exist")).hint(
                    format!("create it first: mkdir -p {}", in_a_shell(folder(path))),
                ),
            );
        }
        // A fixed name, so that kills leave at most one behind.
        let mut temporary = name.to_owned();
        temporary.push(".tmp");
        Ok(Some(Cursor {
            temporary: path.with_file_name(temporary),
            path: path.clone(),
            every: args.cursor_every,
            written,
            pending: None,
            last_write: None,
        }))
    }

    /// The id to resume after.
    pub(crate) fn id(&self) -> Option<&str> {
        Some(&*self.written).filter(|id| !id.is_empty())
    }

    /// Everything up to the event with this id is done. `None`: the server has cleared the id.
    pub(crate) fn advance(&mut self, id: Option<&str>) -> io::Result<()> {
        let id = id.unwrap_or_default();
        // The next run must be able to read and send the id. With an older id it receives some
        // events again, but loses none.
        if problem(id).is_some() {
            return Ok(());
        }
        if id == self.written {
            self.pending = None;
            return Ok(());
        }
        if self.pending.as_deref() != Some(id) {
            self.pending = Some(id.to_owned());
        }
        let due = self
            .last_write
            .is_none_or(|last| last.elapsed() >= self.every);
        if due { self.flush() } else { Ok(()) }
    }

    /// Writes the pending id. An error names the file.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let Some(id) = self.pending.take() else {
            return Ok(());
        };
        self.save(&id).map_err(|error| {
            let path = self.path.display();
            let what = format!("the cursor {path} can't be written: {error}");
            io::Error::new(error.kind(), what)
        })?;
        self.written = id;
        self.last_write = Some(Instant::now());
        Ok(())
    }

    fn save(&self, id: &str) -> io::Result<()> {
        let mut file = self.new_file()?;
        file.write_all(format!("{id}\n").as_bytes())?;
        file.sync_all()?;
        drop(file);
        fs::rename(&self.temporary, &self.path)?;
        // Syncs the rename; not every system can open a folder.
        #[cfg(unix)]
        File::open(folder(&self.path))?.sync_all()?;
        Ok(())
    }

    /// Creates the temporary file. An existing one was left by a kill, or is a link that somebody
    /// else made, whose target must not be overwritten.
    fn new_file(&self) -> io::Result<File> {
        match fs::remove_file(&self.temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&self.temporary)?;
        if let Ok(about) = fs::metadata(&self.path) {
            file.set_permissions(about.permissions())?;
        }
        Ok(file)
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// The path as an argument in a shell, quoted if necessary.
fn in_a_shell(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |char: char| char.is_alphanumeric() || "/._-+@%,:".contains(char);
    match text.chars().all(is_plain) {
        true => text.into_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// The id in the file; empty if there is none.
fn read(path: &Path) -> io::Result<String> {
    let bad = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    let length = match fs::metadata(path) {
        // A device would be replaced by a file, and may be endless.
        Ok(about) if !about.is_file() => return bad("not a regular file"),
        Ok(about) => about.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    // Including the line break.
    if length > LONGEST + 1 {
        return bad(TOO_LONG);
    }
    let mut id = fs::read_to_string(path)?;
    if id.ends_with('\n') {
        id.pop();
    }
    match problem(&id) {
        Some(problem) => bad(problem),
        None => Ok(id),
    }
}

/// Why this id can't be saved.
fn problem(id: &str) -> Option<&'static str> {
    if id.len() as u64 > LONGEST {
        return Some(TOO_LONG);
    }
    (!can_be_sent(id)).then_some("it contains more than one line, or a control character")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Folder {
            Folder(tempfile::tempdir().unwrap())
        }

        fn open(&self, every: Duration) -> Result<Cursor, Problem> {
            let args = CursorArgs {
                cursor: Some(self.0.path().join("c")),
                cursor_every: every,
            };
            Cursor::open(&args).map(Option::unwrap)
        }
    }

    #[test]
    fn a_saved_id_is_read_back() {
        let folder = Folder::new();
        for id in ["41", "ü x ", "a\tb"] {
            folder
                .open(Duration::ZERO)
                .unwrap()
                .advance(Some(id))
                .unwrap();
            assert_eq!(folder.open(Duration::ZERO).unwrap().id(), Some(id));
        }
        let mut cursor = folder.open(Duration::ZERO).unwrap();
        cursor.advance(None).unwrap();
        assert_eq!(folder.open(Duration::ZERO).unwrap().id(), None);
        let names: Vec<_> = fs::read_dir(folder.0.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "a temporary file is left: {names:?}");
    }

    #[test]
    fn cursor_every_batches_writes_until_flush() {
        let folder = Folder::new();
        let mut cursor = folder.open(Duration::from_secs(3600)).unwrap();
        let on_disk = || folder.open(Duration::ZERO).unwrap().id().map(str::to_owned);
        cursor.advance(Some("1")).unwrap();
        assert_eq!(on_disk().as_deref(), Some("1"), "the first one at once");
        cursor.advance(Some("2")).unwrap();
        cursor.advance(Some("3")).unwrap();
        assert_eq!(on_disk().as_deref(), Some("1"));
        cursor.flush().unwrap();
        assert_eq!(on_disk().as_deref(), Some("3"));
        cursor.advance(Some("4")).unwrap();
        cursor.advance(Some("3")).unwrap();
        cursor.flush().unwrap();
        assert_eq!(on_disk().as_deref(), Some("3"));
    }

    #[test]
    fn an_invalid_cursor_file_is_refused() {
        let folder = Folder::new();
        for content in ["a\nb\n", "\0", "\n\n", &"x".repeat(70_000)] {
            fs::write(folder.0.path().join("c"), content).unwrap();
            assert!(folder.open(Duration::ZERO).is_err(), "{content:.10?}");
        }
        fs::write(folder.0.path().join("c"), b"\xff").unwrap();
        assert!(folder.open(Duration::ZERO).is_err());
    }
}
