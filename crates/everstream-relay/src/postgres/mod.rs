//! PostgreSQL: a table of events, and a row that says where it ends.
//!
//! An append is one statement. Its `UPDATE` compares and moves the cursor's row, and its `INSERT` takes the
//! records only if that row was updated. There is no `BEGIN`: a writer that is stopped in a transaction
//! would lock out the others.

mod connection;
mod tables;
mod tls;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls};

use self::connection::{Problem, Session};
use self::tables::Tables;
use crate::batch::{check_size, end_of, step};
use crate::{AppendError, Held, Record, Sink, SinkError, SinkUrl, Tail, UrlError};

/// For each operation, connecting included.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A text value can't have more than 1 GB, and a statement neither.
const MAX_RECORD_BYTES: usize = 64 << 20;

/// Stores records in a table of PostgreSQL: columns `pos`, `sse_id`, `sse_event`, `data`, `received_at`.
///
/// The table is created if it's absent. Each feed has a table of its own. Where it ends is a row of the
/// table `everstream_cursors` of the same schema.
///
/// ```
/// use everstream_relay::PostgresSink;
///
/// let url = "postgres://relay@db.example/feeds?table=events&feed=orders&sslmode=require";
/// let sink = PostgresSink::from_url(url)?.password("secret");
/// # Ok::<(), everstream_relay::UrlError>(())
/// ```
pub struct PostgresSink {
    config: Config,
    /// The roots that are trusted instead of the system's.
    roots: Option<PathBuf>,
    /// In PEM, trusted in addition to the system's.
    extra_roots: Option<Vec<u8>>,
    tables: Tables,
    timeout: Duration,
    max_record_bytes: usize,
    session: Option<Session>,
    /// Whether its tables are there.
    is_opened: bool,
}

impl PostgresSink {
    /// The sink of `postgres://user@host/db?table=events&feed=name`, with the parameters of libpq that
    /// tokio-postgres knows, such as `sslmode` and several hosts. A host that is a path is a folder with a
    /// Unix socket (`postgres:///db?host=/run/postgresql`). `table` may have a schema, as in `feeds.events`.
    ///
    /// `sslmode=require` demands TLS; without it, TLS is used if the server offers it. Certificates are
    /// always verified: by the system's roots and [`root_certificates`](Self::root_certificates), or by those
    /// in the file `sslrootcert`.
    ///
    /// # Errors
    ///
    /// If the URL lacks `table` or `feed`, or a parameter isn't known.
    pub fn from_url(url: &str) -> Result<PostgresSink, UrlError> {
        let mut url = SinkUrl::parse(url, &["postgres", "postgresql"])?;
        let table = url.required("table", "the table for the events")?;
        let feed = url.required("feed", "a name for the feed")?;
        let roots = url.take("sslrootcert")?.map(PathBuf::from);
        let verified = ["verify-ca", "verify-full"];
        let mode = url.take("sslmode")?;
        let mut config: Config = url
            .rest()
            .parse()
            .map_err(|error: tokio_postgres::Error| UrlError::new(connection::explain(&error)))?;
        config.ssl_mode(match mode.as_deref() {
            None | Some("prefer") => SslMode::Prefer,
            Some("disable") => SslMode::Disable,
            Some(mode) if mode == "require" || verified.contains(&mode) => SslMode::Require,
            Some(other) => {
                let message =
                    format!("sslmode={other} isn't disable, prefer, require or verify-full");
                return Err(UrlError::new(message));
            }
        });
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(UrlError::new("the URL has no host"));
        }
        if config.get_application_name().is_none() {
            config.application_name("everstream-relay");
        }
        Ok(PostgresSink {
            config,
            roots,
            extra_roots: None,
            tables: Tables::new(&table, &feed)?,
            timeout: TIMEOUT,
            max_record_bytes: MAX_RECORD_BYTES,
            session: None,
            is_opened: false,
        })
    }

    /// The password, if the URL has none.
    #[must_use]
    pub fn password(mut self, password: impl AsRef<[u8]>) -> PostgresSink {
        self.config.password(password);
        self
    }

    /// Trusts these certificates (PEM) of authorities in addition to the system's, unless the URL has
    /// `sslrootcert`. If they can't be read, opening the log fails.
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> PostgresSink {
        self.extra_roots = Some(pem.into());
        self
    }

    /// How long each operation may take, connecting included; 10 s by default. An append that takes longer
    /// is an unknown outcome.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> PostgresSink {
        self.timeout = timeout;
        self
    }

    /// Refuses records whose data, id or type is larger; 64 MiB by default.
    #[must_use]
    pub fn max_record_bytes(mut self, bytes: usize) -> PostgresSink {
        self.max_record_bytes = bytes;
        self
    }

    /// The session of earlier, if it's still there, or a new one.
    async fn session(&mut self) -> Result<&mut Session, Problem> {
        let session = match self.session.take().filter(Session::is_open) {
            Some(session) => session,
            None => self.connect().await?,
        };
        Ok(self.session.insert(session))
    }

    async fn connect(&self) -> Result<Session, Problem> {
        let is_tcp = |host: &Host| matches!(host, Host::Tcp(_));
        let may_be_tcp =
            self.config.get_hosts().iter().any(is_tcp) || !self.config.get_hostaddrs().is_empty();
        if self.config.get_ssl_mode() == SslMode::Disable || !may_be_tcp {
            return Session::start(&self.config, NoTls).await;
        }
        let tls = tls::MakeTls::new(self.roots.as_deref(), self.extra_roots.as_deref());
        let tls = tls.map_err(Problem::Setup)?;
        Session::start(&self.config, tls).await
    }

    async fn opened(&mut self, recent: usize) -> Result<Held, Problem> {
        let (tables, limit) = (self.tables.clone(), self.max_record_bytes);
        let session = self.session().await?;
        tables.create(session.client()).await?;
        let tail = tables.checked_tail(session.client()).await?;
        let recent = tables.recent(session.client(), tail.pos, recent).await?;
        self.is_opened = true;
        Ok(Held::new(tail, recent, Some(limit)))
    }

    async fn current_tail(&mut self) -> Result<Tail, Problem> {
        let (tables, is_opened) = (self.tables.clone(), self.is_opened);
        let client = self.session().await?.client();
        match is_opened {
            true => tables.tail(client).await,
            false => tables.tail_before_opening(client).await,
        }
    }

    /// Whether the log ended with `after`. Sent once: never after it may have been executed.
    async fn store(&mut self, after: &Tail, records: &[Record]) -> Result<bool, Sent> {
        let tables = self.tables.clone();
        let session = self.session().await.map_err(Sent::Not)?;
        let append = session.append(&tables.append_sql()).await;
        let append = append.map_err(Sent::Not)?;
        let (Ok(pos), Ok(count)) = (i64::try_from(after.pos), i64::try_from(records.len())) else {
            return Err(Sent::Not(Problem::Setup(
                "the position is too large".into(),
            )));
        };
        let ids: Vec<Option<&str>> = records.iter().map(|it| it.id.as_deref()).collect();
        let events: Vec<&str> = records.iter().map(|it| it.event.as_str()).collect();
        let data: Vec<&str> = records.iter().map(|it| it.data.as_str()).collect();
        let times: Vec<SystemTime> = records.iter().map(|it| it.received_at).collect();
        let end = pos + count;
        let last_id = ids.last().copied().flatten();
        let feed = tables.feed();
        let values: [&(dyn ToSql + Sync); 9] = [
            &feed, &pos, &after.id, &end, &last_id, &ids, &events, &data, &times,
        ];
        match session.client().execute(&append, &values).await {
            Ok(rows) => Ok(rows > 0),
            Err(error) if connection::is_conflict(&error) => Ok(false),
            Err(error) if connection::is_refusal(&error) => {
                Err(Sent::Not(Problem::Postgres(error)))
            }
            Err(error) => Err(Sent::Perhaps(connection::explain(&error))),
        }
    }

    /// After an error, or too long a time, nothing more is sent over that connection.
    fn concluded<T>(
        &mut self,
        outcome: Result<Result<T, Problem>, Elapsed>,
    ) -> Result<T, SinkError> {
        let error = match outcome {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(problem)) => problem.into(),
            Err(_) => SinkError::Unavailable(no_answer(self.timeout).into()),
        };
        self.session = None;
        Err(error)
    }
}

/// Whether a statement was sent that failed.
enum Sent {
    Not(Problem),
    Perhaps(String),
}

impl Sink for PostgresSink {
    async fn open(&mut self, recent: usize) -> Result<Held, SinkError> {
        let outcome = timeout(self.timeout, self.opened(recent)).await;
        self.concluded(outcome)
    }

    async fn tail(&mut self) -> Result<Tail, SinkError> {
        let outcome = timeout(self.timeout, self.current_tail()).await;
        self.concluded(outcome)
    }

    async fn append(&mut self, after: &Tail, batch: &[Record]) -> Result<Tail, AppendError> {
        if batch.is_empty() {
            return Ok(after.clone());
        }
        check_size(batch, self.max_record_bytes)?;
        check_nul(batch)?;
        let (records, limit) = (step(batch), self.timeout);
        match timeout(limit, self.store(after, records)).await {
            Ok(Ok(true)) => Ok(end_of(after, records)),
            Ok(Ok(false)) => Err(AppendError::Conflict),
            Ok(Err(Sent::Not(problem))) => {
                self.session = None;
                Err(problem.into())
            }
            Ok(Err(Sent::Perhaps(why))) => {
                self.session = None;
                Err(AppendError::Unknown(why.into()))
            }
            Err(_) => {
                self.session = None;
                Err(AppendError::Unknown(no_answer(limit).into()))
            }
        }
    }
}

/// Without the password.
impl fmt::Debug for PostgresSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSink")
            .field("tables", &self.tables)
            .finish_non_exhaustive()
    }
}

/// PostgreSQL's text can't contain U+0000.
fn check_nul(batch: &[Record]) -> Result<(), AppendError> {
    for (index, record) in batch.iter().enumerate() {
        let id = record.id.as_deref().unwrap_or_default();
        for (text, what) in [(&*record.data, "data"), (id, "id"), (&record.event, "type")] {
            if text.contains('\0') {
                let why = format!("its {what} contains U+0000, which PostgreSQL can't store");
                return Err(AppendError::Rejected { index, why });
            }
        }
    }
    Ok(())
}

fn no_answer(limit: Duration) -> String {
    let seconds = limit.as_secs_f64();
    format!("PostgreSQL didn't answer within {seconds} s")
}
