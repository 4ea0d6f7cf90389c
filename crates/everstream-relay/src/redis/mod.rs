//! Redis: a stream, and a hash that says where it ends.
//!
//! An append is one script, which compares the hash, adds the entries and sets the hash. Redis executes a
//! script without anything between, and writes its effects to a replica or a file as one.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo, RedisError,
    ServerErrorKind, TlsCertificates,
};
use tokio::time::timeout;

use crate::batch::{check_size, end_of, step};
use crate::{AppendError, Held, Record, Sink, SinkError, SinkUrl, Tail, UrlError};

const APPEND: &str = include_str!("append.lua");
const READ: &str = include_str!("recent.lua");

/// For each operation, connecting included.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Redis accepts 512 MB, unless `proto-max-bulk-len` says otherwise.
const MAX_RECORD_BYTES: usize = 64 << 20;

/// After this many responses in a row that aren't ones of Redis, the address is taken to be wrong.
const MAX_MISREAD: u32 = 3;

/// Stores records in a stream of Redis: fields `data`, `sse-id`, `sse-event`, `sse-pos`.
///
/// Where the stream ends is in a hash, whose key is that of the stream in braces and `:cursor`. Of a
/// cluster, both are in one slot, and the URL has to name the node with that slot.
///
/// ```
/// use everstream_relay::RedisSink;
///
/// let sink = RedisSink::from_url("redis://relay@redis.example/0?key=orders")?.password("secret");
/// # Ok::<(), everstream_relay::UrlError>(())
/// ```
pub struct RedisSink {
    client: Client,
    /// In PEM; the client doesn't have them yet.
    extra_roots: Option<Vec<u8>>,
    key: String,
    cursor: String,
    source: String,
    timeout: Duration,
    max_record_bytes: usize,
    /// The server's, if the user may know it.
    server_limit: usize,
    /// How many responses in a row weren't ones of Redis.
    misread: u32,
    connection: Option<MultiplexedConnection>,
}

impl RedisSink {
    /// The sink of `redis://user:password@host/0?key=feed`; `rediss://` is TLS, verified by the system's
    /// roots and [`root_certificates`](Self::root_certificates), and `redis+unix:///path/to/socket?key=feed&db=0` a Unix socket.
    ///
    /// # Errors
    ///
    /// If the URL lacks `key`, or isn't one of Redis.
    pub fn from_url(url: &str) -> Result<RedisSink, UrlError> {
        let mut url = SinkUrl::parse(url, &["redis", "rediss", "redis+unix", "unix"])?;
        let key = url.required("key", "the key of the stream")?;
        let cursor = cursor_key(&key)?;
        check_parameters(&url)?;
        let info = url.rest().into_connection_info();
        // Its messages may contain the URL.
        let info = info.map_err(|error| UrlError::new(explain_url(&error)))?;
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            crate::tls::install_provider();
        }
        let client = Client::open(info).map_err(|error| UrlError::new(explain_url(&error)))?;
        Ok(RedisSink {
            client,
            extra_roots: None,
            key,
            cursor,
            source: String::new(),
            timeout: TIMEOUT,
            max_record_bytes: MAX_RECORD_BYTES,
            server_limit: usize::MAX,
            misread: 0,
            connection: None,
        })
    }

    /// The password, if the URL has none.
    #[must_use]
    pub fn password(mut self, password: impl AsRef<str>) -> RedisSink {
        let info = self.client.get_connection_info().clone();
        let settings = info.redis_settings().clone();
        let info = info.set_redis_settings(settings.set_password(password.as_ref()));
        // The same address again is accepted.
        if let Ok(client) = Client::open(info) {
            self.client = client;
        }
        self
    }

    /// Trusts these certificates (PEM) of authorities in addition to the system's. If they can't be read,
    /// opening the log fails.
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> RedisSink {
        let address = self.client.get_connection_info().addr();
        if matches!(address, ConnectionAddr::TcpTls { .. }) {
            self.extra_roots = Some(pem.into());
        }
        self
    }

    /// Stored with each record, as the field `sse-source`: the URL of the feed, without secrets.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> RedisSink {
        self.source = source.into();
        self
    }

    /// How long each operation may take, connecting included; 10 s by default. An append that takes longer
    /// is an unknown outcome.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> RedisSink {
        self.timeout = timeout;
        self
    }

    /// Refuses records whose data, id or type is larger; 64 MiB by default.
    #[must_use]
    pub fn max_record_bytes(mut self, bytes: usize) -> RedisSink {
        self.max_record_bytes = bytes;
        self
    }

    async fn connection(&mut self) -> Result<&mut MultiplexedConnection, RedisError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                self.trust_extra_roots()?;
                // The limit is that of the whole operation.
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(None)
                    .set_response_timeout(None);
                let mut connection = self
                    .client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await?;
                self.server_limit = largest_argument(&mut connection).await?;
                connection
            }
        };
        Ok(self.connection.insert(connection))
    }

    fn trust_extra_roots(&mut self) -> Result<(), RedisError> {
        let Some(pem) = &self.extra_roots else {
            return Ok(());
        };
        let refused = |why: String| {
            let what = "the root certificates can't be used";
            RedisError::from((ErrorKind::InvalidClientConfig, what, why))
        };
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: Some(crate::tls::with_system_roots(pem).map_err(refused)?),
        };
        let info = self.client.get_connection_info().clone();
        let client = Client::build_with_tls(info, certificates);
        self.client = client.map_err(|error| refused(error.to_string()))?;
        self.extra_roots = None;
        Ok(())
    }

    /// Whether trying again may help. A response that isn't one of Redis may have been cut off, so only
    /// several in a row are final.
    fn may_pass(&mut self, error: &RedisError) -> bool {
        match is_no_redis(error) {
            true => {
                self.misread += 1;
                self.misread < MAX_MISREAD
            }
            false => is_passing(error),
        }
    }

    fn limit(&self) -> usize {
        self.max_record_bytes.min(self.server_limit)
    }

    fn script(&self, script: &str) -> Cmd {
        let mut command = ::redis::cmd("EVAL");
        command.arg(script).arg(2).arg(&self.key).arg(&self.cursor);
        command
    }

    /// Where the stream ends, and the ids of its last `recent` records.
    async fn read(&mut self, recent: usize) -> Result<Held, SinkError> {
        let mut command = self.script(READ);
        command.arg(recent);
        let limit = self.timeout;
        let work = async {
            let connection = self.connection().await?;
            command.query_async::<Read>(connection).await
        };
        let (pos, id, entries, mut ids) = match timeout(limit, work).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => {
                self.connection = None;
                let text = explain(&error).into();
                return Err(match self.may_pass(&error) {
                    true => SinkError::Unavailable(text),
                    false => SinkError::Unusable(text),
                });
            }
            Err(_) => {
                self.connection = None;
                return Err(SinkError::Unavailable(self.no_answer().into()));
            }
        };
        self.misread = 0;
        let pos = match pos.map(|text| text.parse::<u64>()) {
            Some(Ok(pos)) => pos,
            None if entries == 0 => 0,
            None => {
                let why = format!(
                    "the stream {:?} has entries, but the key {:?}, which says where it ends, is missing",
                    self.key, self.cursor
                );
                return Err(SinkError::Unusable(why.into()));
            }
            Some(Err(_)) => {
                let why = format!("the position in {:?} isn't a number", self.cursor);
                return Err(SinkError::Unusable(why.into()));
            }
        };
        ids.reverse();
        Ok(Held::new(Tail { pos, id }, ids, Some(self.limit())))
    }

    /// How many records were stored; `None` if the stream doesn't end with `after`.
    async fn store(&mut self, after: &Tail, records: &[Record]) -> Result<Option<usize>, Sent> {
        let mut command = self.script(APPEND);
        command.arg(after.pos);
        optional(&mut command, after.id.as_deref());
        command.arg(&self.source);
        for record in records {
            optional(&mut command, record.id.as_deref());
            command.arg(&record.event).arg(&record.data);
        }
        self.connection().await.map_err(Sent::Not)?;
        check_size(records, self.limit()).map_err(Sent::Refused)?;
        let connection = self.connection().await.map_err(Sent::Not)?;
        match command.query_async::<i64>(connection).await {
            Ok(count) => Ok(usize::try_from(count).ok()),
            Err(error) if is_refusal(&error) => Err(Sent::Not(error)),
            Err(error) => Err(Sent::Perhaps(error)),
        }
    }

    fn no_answer(&self) -> String {
        let seconds = self.timeout.as_secs_f64();
        format!("Redis didn't answer within {seconds} s")
    }
}

/// The position, the id, how many entries there are, and the last ids, the newest first.
type Read = (Option<String>, Option<String>, u64, Vec<String>);

/// Whether a script was sent that failed.
enum Sent {
    Refused(AppendError),
    Not(RedisError),
    Perhaps(RedisError),
}

impl Sink for RedisSink {
    async fn open(&mut self, recent: usize) -> Result<Held, SinkError> {
        // Both are created by the first append.
        self.read(recent).await
    }

    async fn tail(&mut self) -> Result<Tail, SinkError> {
        Ok(self.read(0).await?.tail)
    }

    async fn append(&mut self, after: &Tail, batch: &[Record]) -> Result<Tail, AppendError> {
        if batch.is_empty() {
            return Ok(after.clone());
        }
        let records = step(batch);
        let outcome = timeout(self.timeout, self.store(after, records)).await;
        let error = match outcome {
            Ok(Ok(Some(count))) => {
                self.misread = 0;
                return Ok(end_of(after, &records[..count.min(records.len())]));
            }
            Ok(Ok(None)) => return Err(AppendError::Conflict),
            Ok(Err(Sent::Refused(error))) => return Err(error),
            Ok(Err(Sent::Not(error))) if is_too_large(&error) => {
                let sizes = records.iter().map(|it| it.data.len()).enumerate();
                let largest = sizes.max_by_key(|(_, bytes)| *bytes);
                AppendError::Rejected {
                    index: largest.map_or(0, |(index, _)| index),
                    why: explain(&error),
                }
            }
            Ok(Err(Sent::Not(error))) if self.may_pass(&error) => {
                AppendError::Unavailable(explain(&error).into())
            }
            Ok(Err(Sent::Not(error))) => AppendError::Unusable(explain(&error).into()),
            Ok(Err(Sent::Perhaps(error))) => AppendError::Unknown(explain(&error).into()),
            Err(_) => AppendError::Unknown(self.no_answer().into()),
        };
        self.connection = None;
        Err(error)
    }
}

/// Without the password.
impl fmt::Debug for RedisSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSink")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// The client ignores parameters that it doesn't know.
fn check_parameters(url: &SinkUrl) -> Result<(), UrlError> {
    let is_unix = url.base().starts_with("redis+unix:") || url.base().starts_with("unix:");
    let known: &[&str] = match is_unix {
        true => &["protocol", "db", "user", "pass"],
        false => &["protocol"],
    };
    let mut url = url.clone();
    for name in known {
        url.take(name)?;
    }
    url.nothing_left()
}

/// A key in the slot of the stream's. The slot is that of what is in the first braces, if there is
/// something, or else of the whole key.
fn cursor_key(key: &str) -> Result<String, UrlError> {
    let tag = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    match tag {
        Some((tag, _)) if !tag.is_empty() => Ok(format!("{key}:cursor")),
        _ if key.contains('}') => Err(UrlError::new(format!(
            "the key {key:?} has a brace, but no hash tag such as {{feed}}"
        ))),
        _ => Ok(format!("{{{key}}}:cursor")),
    }
}

/// Whether there is one, and what.
fn optional(command: &mut Cmd, value: Option<&str>) {
    command
        .arg(u8::from(value.is_some()))
        .arg(value.unwrap_or_default());
}

/// Whether the response isn't one of Redis, or was cut off.
fn is_no_redis(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType
    )
}

/// Whether waiting may help. Of the errors of the server, those about the user and the keys are final.
fn is_passing(error: &RedisError) -> bool {
    let about_the_user = [
        ErrorKind::AuthenticationFailed,
        ErrorKind::InvalidClientConfig,
    ];
    let final_codes = [
        "WRONGTYPE",
        "NOAUTH",
        "WRONGPASS",
        "NOPERM",
        "NOCURSOR",
        "MOVED",
    ];
    !about_the_user.contains(&error.kind())
        && !error.code().is_some_and(|code| final_codes.contains(&code))
        // These have no code of their own.
        && !error.detail().is_some_and(|it| {
            it.contains("DB index is out of range") || it.contains("user executing the script can't")
        })
        && !is_tls_refusal(error)
}

/// Whether TLS failed because of what the server is or sent, such as its certificate.
fn is_tls_refusal(error: &RedisError) -> bool {
    // The client shares the error with its other tasks.
    let shared = error
        .source()
        .and_then(|it| it.downcast_ref::<Arc<dyn Error + Send + Sync>>());
    let io = shared.and_then(|it| it.downcast_ref::<io::Error>());
    io.is_some_and(crate::tls::is_refusal)
}

/// Whether the server says that it didn't execute the script, or that nothing was stored.
fn is_refusal(error: &RedisError) -> bool {
    // The script itself reports what was stored by its number. An error is one before it wrote entries.
    matches!(error.kind(), ErrorKind::Server(kind) if kind != ServerErrorKind::ExecAbort)
        || matches!(error.kind(), ErrorKind::Extension)
}

/// What the server accepts. It closes the connection when it reads that an argument is longer, which may
/// cut off its answer: so it's asked before. A user may not be allowed to.
async fn largest_argument(connection: &mut MultiplexedConnection) -> Result<usize, RedisError> {
    let mut command = ::redis::cmd("CONFIG");
    command.arg("GET").arg("proto-max-bulk-len");
    match command.query_async::<Vec<String>>(connection).await {
        Ok(answer) => Ok(answer
            .get(1)
            .and_then(|it| it.parse().ok())
            .unwrap_or(usize::MAX)),
        Err(error) if is_refusal(&error) => Ok(usize::MAX),
        Err(error) => Err(error),
    }
}

/// An argument is longer than what the server accepts, which it has said.
fn is_too_large(error: &RedisError) -> bool {
    error
        .detail()
        .is_some_and(|it| it.contains("invalid bulk length"))
}

/// One sentence: what the server said, or what broke.
fn explain(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        _ if error.kind() == ErrorKind::AuthenticationFailed => {
            "Redis refused the user or the password".to_owned()
        }
        (Some("MOVED"), Some(detail)) => {
            format!("another node of the cluster has the key; name that one: MOVED {detail}")
        }
        (Some(code), Some(detail)) => {
            // Then it names a line of the script.
            let detail = detail.split(" script: ").next().unwrap_or(detail);
            format!("{code} {detail}")
        }
        _ if matches!(
            error.kind(),
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType
        ) =>
        {
            "the server doesn't answer like Redis; check the address".to_owned()
        }
        _ => error.to_string(),
    }
}

/// The same without what may be part of the URL.
fn explain_url(error: &RedisError) -> String {
    match error.kind() {
        ErrorKind::InvalidClientConfig => "the URL isn't one of Redis".to_owned(),
        _ => "the URL can't be used for Redis".to_owned(),
    }
}
