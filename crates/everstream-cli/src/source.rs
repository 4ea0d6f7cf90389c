//! Where a stream is read from: a server, or a saved body.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use everstream::{
    ClientContext, ConnectFuture, ConnectRequest, ConnectStrategy, Connection, ConnectionClient,
    Error, Fault,
};
use futures_core::Stream;
use tokio::sync::mpsc;
use url::Url;

use crate::recording::FORMAT;
use crate::report::Problem;

/// The size of a read.
const CHUNK: usize = 64 << 10;

/// What the URL argument of `follow` refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Server,
    Saved(Saved),
}

/// A saved response body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Saved {
    Stdin,
    File { path: PathBuf, name: String },
}

impl Source {
    /// `-` is standard input, `file://...` a file. So is an argument without a scheme that names an
    /// existing file.
    pub(crate) fn of(argument: &str) -> Result<Source, Problem> {
        let name = argument.to_owned();
        let path = if argument == "-" {
            return Ok(Source::Saved(Saved::Stdin));
        } else if is_file_url(argument) {
            file_of_url(argument)?
        } else if !argument.contains("://") && Path::new(argument).exists() {
            PathBuf::from(argument)
        } else {
            return Ok(Source::Server);
        };
        if path.is_dir() {
            return Err(Problem::new(format!("{name} is a directory"))
                .hint("name a file in it that contains an event stream"));
        }
        Ok(Source::Saved(Saved::File { path, name }))
    }

    pub(crate) fn saved(&self) -> Option<&Saved> {
        match self {
            Source::Server => None,
            Source::Saved(saved) => Some(saved),
        }
    }
}

fn is_file_url(argument: &str) -> bool {
    let scheme = argument.get(..7);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("file://"))
}

fn file_of_url(argument: &str) -> Result<PathBuf, Problem> {
    let path = Url::parse(argument)
        .ok()
        .and_then(|url| url.to_file_path().ok());
    path.ok_or_else(|| {
        Problem::new(format!("{argument} isn't a file on this machine"))
            .hint("a file URL has three slashes and an absolute path: file:///tmp/stream")
    })
}

impl Saved {
    /// Its name in messages.
    pub(crate) fn name(&self) -> &str {
        match self {
            Saved::Stdin => "standard input",
            Saved::File { name, .. } => name,
        }
    }

    /// A hint for a file that isn't a stream, from its beginning.
    pub(crate) fn hint(&self, beginning: &str) -> Option<String> {
        match self {
            Saved::File { name, .. } if beginning.contains(FORMAT) => Some(format!(
                "this is a recording: everstream replay {name} serves it as a stream"
            )),
            _ => None,
        }
    }

    /// Opens the file, so that an error is reported before anything else happens.
    pub(crate) fn open(&self) -> Result<Input, Problem> {
        let reader: Box<dyn Read + Send> = match self {
            Saved::Stdin => Box::new(io::stdin()),
            Saved::File { path, name } => Box::new(
                File::open(path)
                    .map_err(|error| Problem::because(&format!("{name} can't be read"), &error))?,
            ),
        };
        // One chunk is decoded while the next one is read.
        let (sender, chunks) = mpsc::channel(1);
        // A thread, because a read of a terminal or a pipe may block without delaying the exit.
        thread::Builder::new()
            .name("input".into())
            .spawn(move || read(reader, &sender))
            .map_err(|error| Problem::because("can't start a thread", &error))?;
        Ok(Input(Some(chunks)))
    }
}

type Chunk = Result<Vec<u8>, Fault>;

fn read(mut reader: impl Read, chunks: &mpsc::Sender<Chunk>) {
    loop {
        let mut chunk = vec![0; CHUNK];
        let chunk = match reader.read(&mut chunk) {
            Ok(0) => return,
            Ok(length) => {
                chunk.truncate(length);
                Ok(chunk)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(Fault::Read(error.into())),
        };
        let failed = chunk.is_err();
        if chunks.blocking_send(chunk).is_err() || failed {
            return;
        }
    }
}

/// A saved body as the only connection of its client.
pub(crate) struct Input(Option<mpsc::Receiver<Chunk>>);

/// Connects once: there is one input, and so one client.
pub(crate) struct Once(std::sync::Mutex<Input>);

impl Input {
    pub(crate) fn into_strategy(self) -> Once {
        Once(std::sync::Mutex::new(self))
    }
}

impl ConnectStrategy for Once {
    fn create_client(&self, _: ClientContext) -> Result<Box<dyn ConnectionClient>, Error> {
        let mut input = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(Box::new(Input(input.0.take())))
    }
}

impl ConnectionClient for Input {
    fn connect(&mut self, _: ConnectRequest) -> ConnectFuture {
        let chunks = self.0.take();
        Box::pin(async move {
            match chunks {
                Some(chunks) => Ok(Connection::from_stream(Chunks(chunks))),
                None => Err(Fault::Setup("a saved stream is read once".into())),
            }
        })
    }
}

struct Chunks(mpsc::Receiver<Chunk>);

impl Stream for Chunks {
    type Item = Chunk;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Chunk>> {
        self.0.poll_recv(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_that_is_not_a_file_is_a_url() {
        for argument in [
            "http://localhost/",
            "https://example.com/Cargo.toml",
            "localhost:8000/feed",
            "no-such-file",
            "",
        ] {
            assert_eq!(Source::of(argument), Ok(Source::Server), "{argument}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn files_are_named_by_path_or_url() {
        let path = |argument| match Source::of(argument).unwrap() {
            Source::Saved(Saved::File { path, .. }) => path,
            other => panic!("{argument}: {other:?}"),
        };
        assert_eq!(path("Cargo.toml"), Path::new("Cargo.toml"));
        assert_eq!(path("file:///no/such%20file"), Path::new("/no/such file"));
        assert_eq!(path("FILE://localhost/a"), Path::new("/a"));
        assert_eq!(Source::of("-"), Ok(Source::Saved(Saved::Stdin)));
        assert!(Source::of("file://example.com/a").is_err());
        assert!(Source::of("src").is_err());
    }
}
