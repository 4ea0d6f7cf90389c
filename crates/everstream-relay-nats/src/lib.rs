//! NATS JetStream as a log of [`everstream_relay`]: a stream of one feed, whose sequence numbers are the
//! positions.
//!
//! Every message of an append carries the sequence number that it expects to follow, and all but the first
//! also the id of the message before it, which contains a name that only this run of this writer uses. So
//! everything behind a message that wasn't stored fails too, also if another writer's messages have the
//! numbers in between.
//!
//! `session.rs` talks to the server, `message.rs` encodes records, and `problem.rs` says what errors mean. This is a
//! separate crate because its client needs a newer Rust than the others.

mod message;
mod problem;
mod session;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::ServerAddr;
use everstream_relay::batch::{check_size, end_of, step};
use everstream_relay::{AppendError, Held, Record, Sink, SinkError, SinkUrl, Tail, UrlError};
use percent_encoding::percent_decode_str;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use self::message::Layout;
use self::problem::Problem;
use self::session::{Outcome, Session};

/// For each operation, connecting included.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Stores records in a stream of JetStream: the data is the payload, and the headers `sse-id`, `sse-event`
/// and `sse-pos` are percent-encoded.
///
/// The stream is created if it's absent, with limits that keep everything. It has to be the feed's alone.
///
/// ```
/// use everstream_relay_nats::NatsSink;
///
/// let sink = NatsSink::from_url("nats://relay@nats.example/ORDERS?replicas=3")?.password("secret");
/// # Ok::<(), everstream_relay::UrlError>(())
/// ```
pub struct NatsSink {
    settings: Settings,
    session: Option<Session>,
    /// The last end that was seen with its id. Limits of the stream may remove the message, and a position
    /// never gets another one.
    known: Tail,
}

/// What a session needs.
#[derive(Clone)]
struct Settings {
    /// Without user and password.
    servers: Vec<String>,
    user: Option<String>,
    password: Option<String>,
    token: Option<String>,
    credentials: Option<PathBuf>,
    /// In PEM.
    extra_roots: Option<Vec<u8>>,
    stream: String,
    /// The subject of the messages, if the URL names it.
    subject: Option<String>,
    replicas: usize,
    source: String,
    is_cloudevent: bool,
    timeout: Duration,
}

impl NatsSink {
    /// The sink of `nats://user:password@host:4222/STREAM`, or of several servers, as in
    /// `nats://one,two/STREAM`. `tls://` demands TLS, verified by the system's roots and
    /// [`root_certificates`](Self::root_certificates).
    ///
    /// Parameters: `subject` names that of the messages, if the stream has several; `replicas` is for a
    /// stream that is created; `creds` is a file with credentials. A user without a password is a token.
    ///
    /// # Errors
    ///
    /// If the URL has no stream, or a parameter isn't known.
    pub fn from_url(url: &str) -> Result<NatsSink, UrlError> {
        let mut url = SinkUrl::parse(url, &["nats", "tls"])?;
        let subject = url.take("subject")?;
        if let Some(subject) = subject.as_ref().filter(|it| !is_subject(it)) {
            let message = format!("subject={subject:?} isn't a subject without wildcards");
            return Err(UrlError::new(message));
        }
        let credentials = url.take("creds")?.map(PathBuf::from);
        let replicas = match url.take("replicas")?.map(|it| it.parse()) {
            None => 1,
            Some(Ok(replicas @ 1..=5)) => replicas,
            Some(_) => return Err(UrlError::new("replicas isn't a number from 1 to 5")),
        };
        url.nothing_left()?;
        let (scheme, rest) = url.base().split_once("://").unwrap_or_default();
        let (authority, stream) = rest.split_once('/').unwrap_or((rest, ""));
        let stream = decode(stream, "stream")?;
        if stream.is_empty() {
            return Err(UrlError::new(
                "the URL lacks the stream: nats://host/STREAM",
            ));
        }
        if !is_stream_name(&stream) {
            let message =
                format!("{stream:?} isn't the name of a stream: no spaces, dots, slashes, * or >");
            return Err(UrlError::new(message));
        }
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        if hosts.split(',').any(str::is_empty) {
            return Err(UrlError::new("the URL has no host"));
        }
        let servers: Vec<_> = hosts
            .split(',')
            .map(|it| format!("{scheme}://{it}"))
            .collect();
        if servers.iter().any(|it| it.parse::<ServerAddr>().is_err()) {
            let message = format!("{hosts:?} isn't a list of hosts, each with an optional port");
            return Err(UrlError::new(message));
        }
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(decode(password, "password")?)),
            None => (login, None),
        };
        let user = Some(decode(user, "user")?).filter(|it| !it.is_empty());
        Ok(NatsSink {
            settings: Settings {
                servers,
                user,
                password,
                token: None,
                credentials,
                extra_roots: None,
                stream,
                subject,
                replicas,
                source: String::new(),
                is_cloudevent: false,
                timeout: TIMEOUT,
            },
            session: None,
            known: Tail::default(),
        })
    }

    /// The password, if the URL has none.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> NatsSink {
        self.settings.password = Some(password.into());
        self
    }

    /// A token instead of a user.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> NatsSink {
        self.settings.token = Some(token.into());
        self
    }

    /// Trusts these certificates (PEM) of authorities in addition to the system's. If they can't be read,
    /// opening the log fails.
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> NatsSink {
        self.settings.extra_roots = Some(pem.into());
        self
    }

    /// Stored with each record, as the header `sse-source`: the URL of the feed, without secrets.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> NatsSink {
        self.settings.source = source.into();
        self
    }

    /// Gives each message the headers of a CloudEvent too (NATS binding, binary mode): `ce-id`, `ce-source`,
    /// `ce-type` and `ce-specversion`. The id is the event's, or its position if it has none; the source is
    /// that of [`source`](Self::source), or the stream's name.
    #[must_use]
    pub fn cloudevents(mut self) -> NatsSink {
        self.settings.is_cloudevent = true;
        self
    }

    /// How long each operation may take, connecting included; 10 s by default. An append that takes longer
    /// is an unknown outcome.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> NatsSink {
        self.settings.timeout = timeout;
        self
    }

    /// The session of earlier, if it's still there, or a new one.
    async fn session(&mut self) -> Result<&mut Session, Problem> {
        let session = match self.session.take().filter(Session::is_open) {
            Some(session) => session,
            None => Session::start(&self.settings).await?,
        };
        Ok(self.session.insert(session))
    }

    async fn opened(&mut self, recent: usize) -> Result<Held, Problem> {
        let session = self.session().await?;
        session.prepare().await?;
        let tail = session.tail().await?;
        let ids = session.recent(&tail, recent).await?;
        let limit = session.max_record_bytes();
        Ok(Held::new(self.with_known_id(tail), ids, Some(limit)))
    }

    async fn current_tail(&mut self) -> Result<Tail, Problem> {
        let tail = self.session().await?.tail().await?;
        Ok(self.with_known_id(tail))
    }

    fn with_known_id(&mut self, mut tail: Tail) -> Tail {
        if tail.id.is_some() {
            self.known.clone_from(&tail);
        } else if tail.pos == self.known.pos {
            tail.id.clone_from(&self.known.id);
        }
        tail
    }

    async fn store(&mut self, after: &Tail, records: &[Record]) -> Result<Outcome, AppendError> {
        let source = self.settings.source.clone();
        let layout = Layout {
            source: &source,
            is_cloudevent: self.settings.is_cloudevent,
        };
        let session = self.session().await?;
        session.prepare().await?;
        check_size(records, session.max_record_bytes())?;
        session.check_messages(after, records, &layout)?;
        if !session.ends_with(after).await? {
            return Ok(Outcome::Conflict);
        }
        Ok(session.publish(after, records, &layout).await)
    }

    /// After an error, or too long a time, nothing more is sent over that connection.
    fn concluded<T>(
        &mut self,
        outcome: Result<Result<T, Problem>, Elapsed>,
    ) -> Result<T, SinkError> {
        let error = match outcome {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(problem)) => problem.into(),
            Err(_) => SinkError::Unavailable(self.no_answer().into()),
        };
        self.session = None;
        Err(error)
    }

    fn no_answer(&self) -> String {
        let seconds = self.settings.timeout.as_secs_f64();
        format!("NATS didn't answer within {seconds} s")
    }
}

impl Sink for NatsSink {
    async fn open(&mut self, recent: usize) -> Result<Held, SinkError> {
        let outcome = timeout(self.settings.timeout, self.opened(recent)).await;
        self.concluded(outcome)
    }

    async fn tail(&mut self) -> Result<Tail, SinkError> {
        let outcome = timeout(self.settings.timeout, self.current_tail()).await;
        self.concluded(outcome)
    }

    async fn append(&mut self, after: &Tail, batch: &[Record]) -> Result<Tail, AppendError> {
        if batch.is_empty() {
            return Ok(after.clone());
        }
        let records = step(batch);
        let error = match timeout(self.settings.timeout, self.store(after, records)).await {
            Ok(Ok(Outcome::Stored(count))) => {
                return Ok(self.with_known_id(end_of(after, &records[..count])));
            }
            Ok(Ok(Outcome::Conflict)) => return Err(AppendError::Conflict),
            Ok(Ok(Outcome::Refused(why))) => AppendError::Unavailable(why.into()),
            Ok(Ok(Outcome::Unknown(why))) => AppendError::Unknown(why.into()),
            Ok(Err(rejected @ AppendError::Rejected { .. })) => return Err(rejected),
            Ok(Err(error)) => error,
            Err(_) => AppendError::Unknown(self.no_answer().into()),
        };
        self.session = None;
        Err(error)
    }
}

/// Without the password.
impl fmt::Debug for NatsSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsSink")
            .field("stream", &self.settings.stream)
            .finish_non_exhaustive()
    }
}

fn decode(text: &str, what: &str) -> Result<String, UrlError> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(UrlError::new(format!("the {what} isn't UTF-8"))),
    }
}

fn is_stream_name(name: &str) -> bool {
    let is_strange = |it: char| it.is_whitespace() || it.is_control() || ".*>/\\".contains(it);
    !name.contains(is_strange)
}

/// Without wildcards: messages are published to it.
fn is_subject(subject: &str) -> bool {
    let is_token = |it: &str| !it.is_empty() && is_stream_name(&it.replace(['/', '\\'], "-"));
    subject.split('.').all(is_token)
}
