//! From the URL of a sink to the sink, and its password.

use std::error::Error;
use std::path::Path;

use everstream_relay::{AppendError, Held, MemorySink, Record, Sink, SinkError, Tail};

use crate::report::{Problem, how_to_build};
use crate::request::read_file;

/// Where a sink's password is, because every user of this machine sees arguments.
const PASSWORD: &str = "EVERSTREAM_SINK_PASSWORD";

/// The schemes, what they name, and the feature with the engine's client.
const ENGINES: [(&str, &str, &str); 8] = [
    ("postgres", "PostgreSQL", "relay-postgres"),
    ("postgresql", "PostgreSQL", "relay-postgres"),
    ("redis", "Redis", "relay-redis"),
    ("rediss", "Redis", "relay-redis"),
    ("redis+unix", "Redis", "relay-redis"),
    ("unix", "Redis", "relay-redis"),
    ("nats", "NATS", "relay-nats"),
    ("tls", "NATS", "relay-nats"),
];

/// Whether this command was built with a feature.
fn is_built(feature: &str) -> bool {
    let features = [
        ("relay-postgres", cfg!(feature = "relay-postgres")),
        ("relay-redis", cfg!(feature = "relay-redis")),
        ("relay-nats", cfg!(feature = "relay-nats")),
    ];
    features.contains(&(feature, true))
}

/// For `--help`: the engines that this command was built with, and how to get the others.
pub(super) fn engines() -> String {
    engines_of(is_built)
}

fn engines_of(is_built: impl Fn(&str) -> bool) -> String {
    let mut engines: Vec<(&str, &str)> = ENGINES.map(|(_, it, feature)| (it, feature)).into();
    engines.dedup();
    let (built, missing): (Vec<_>, Vec<_>) = engines
        .into_iter()
        .partition(|(_, feature)| is_built(feature));
    let join = |list: &[(&str, &str)]| {
        let names: Vec<&str> = list.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    };
    let mut text = match built.as_slice() {
        [] => "Engines of this build: none.".to_owned(),
        built => format!("Engines of this build: {}.", join(built)),
    };
    if !missing.is_empty() {
        let features: Vec<&str> = missing.iter().map(|(_, feature)| *feature).collect();
        let how = how_to_build(&features.join(","));
        let missing = join(&missing);
        let missing = match missing.rsplit_once(", ") {
            Some((others, last)) => format!("{others} or {last}"),
            None => missing,
        };
        text.push_str(&format!(" For {missing}, {how}"));
    }
    text
}

/// The log, and where it is.
pub(crate) struct NamedSink {
    sink: AnySink,
    engine: &'static str,
    address: String,
}

/// One of the sinks that this command was built with.
enum AnySink {
    /// Not for use: events are gone with the process. The tests of the command store here.
    Memory(MemorySink),
    #[cfg(feature = "relay-postgres")]
    Postgres(Box<everstream_relay::PostgresSink>),
    #[cfg(feature = "relay-redis")]
    Redis(Box<everstream_relay::RedisSink>),
    #[cfg(feature = "relay-nats")]
    Nats(Box<everstream_relay_nats::NatsSink>),
}

impl NamedSink {
    /// From a URL, or a file with one. `source` is the feed, for logs that name it in each record.
    pub(super) fn new(
        url: Option<&str>,
        file: Option<&Path>,
        source: &str,
    ) -> Result<NamedSink, Problem> {
        let password = std::env::var(PASSWORD).ok().filter(|it| !it.is_empty());
        let from_file;
        let url = match (url, file) {
            (_, Some(file)) => {
                from_file = String::from_utf8(read_file(file)?)
                    .map_err(|_| Problem::new("the file of --sink-url-file isn't UTF-8"))?;
                from_file.trim()
            }
            (Some(url), None) if has_password(url, password.is_some()) => {
                let what = "a password in the sink's URL is visible to every user of this machine";
                let hint = format!("put it in the variable {PASSWORD}, or use --sink-url-file");
                return Err(Problem::new(what).hint(hint));
            }
            (url, None) => url.unwrap_or_default(),
        };
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
        Ok(NamedSink {
            sink: AnySink::with_scheme(scheme, url, password, source)?,
            engine: engine(scheme),
            address: address(url).to_owned(),
        })
    }

    /// CloudEvents defines how its attributes are stored in NATS, and not in the other engines.
    pub(super) fn with_cloudevents(self) -> Result<NamedSink, Problem> {
        let sink = self.sink.with_cloudevents()?;
        Ok(NamedSink { sink, ..self })
    }

    /// The certificates of `--cacert`, for TLS to the engine too.
    pub(super) fn trusting(self, certificates: Option<Vec<u8>>) -> NamedSink {
        let sink = self.sink.trusting(certificates);
        NamedSink { sink, ..self }
    }

    /// An error that says which server wasn't available.
    fn at(&self, error: &(dyn Error + Send + Sync)) -> Box<dyn Error + Send + Sync> {
        at(self.engine, &self.address, &error.to_string()).into()
    }
}

impl AnySink {
    #[allow(unused_variables, reason = "without engines nobody needs them")]
    fn with_scheme(
        scheme: &str,
        url: &str,
        password: Option<String>,
        source: &str,
    ) -> Result<AnySink, Problem> {
        match scheme {
            "memory" => Ok(AnySink::Memory(MemorySink::new())),
            #[cfg(feature = "relay-postgres")]
            "postgres" | "postgresql" => {
                let sink = everstream_relay::PostgresSink::from_url(url).map_err(unusable)?;
                Ok(AnySink::Postgres(Box::new(match password {
                    Some(password) => sink.password(password),
                    None => sink,
                })))
            }
            #[cfg(feature = "relay-redis")]
            "redis" | "rediss" | "redis+unix" | "unix" => {
                let sink = everstream_relay::RedisSink::from_url(url).map_err(unusable)?;
                let sink = sink.source(everstream::RedactedUrl(source).to_string());
                Ok(AnySink::Redis(Box::new(match password {
                    Some(password) => sink.password(password),
                    None => sink,
                })))
            }
            #[cfg(feature = "relay-nats")]
            "nats" | "tls" => {
                let sink = everstream_relay_nats::NatsSink::from_url(url).map_err(unusable)?;
                let sink = sink.source(everstream::RedactedUrl(source).to_string());
                Ok(AnySink::Nats(Box::new(match (password, user(url)) {
                    (Some(password), Some(_)) => sink.password(password),
                    (Some(token), None) => sink.token(token),
                    (None, _) => sink,
                })))
            }
            _ => Err(unknown(scheme)),
        }
    }

    fn with_cloudevents(self) -> Result<AnySink, Problem> {
        #[cfg(feature = "relay-nats")]
        if let AnySink::Nats(sink) = self {
            return Ok(AnySink::Nats(Box::new(sink.cloudevents())));
        }
        let what = "--layout cloudevents is for NATS: CloudEvents has no binding for other engines";
        Err(Problem::new(what))
    }

    #[allow(unused_variables, reason = "without engines nobody needs them")]
    fn trusting(self, certificates: Option<Vec<u8>>) -> AnySink {
        let Some(certificates) = certificates else {
            return self;
        };
        match self {
            AnySink::Memory(sink) => AnySink::Memory(sink),
            #[cfg(feature = "relay-postgres")]
            AnySink::Postgres(sink) => {
                AnySink::Postgres(Box::new(sink.root_certificates(certificates)))
            }
            #[cfg(feature = "relay-redis")]
            AnySink::Redis(sink) => AnySink::Redis(Box::new(sink.root_certificates(certificates))),
            #[cfg(feature = "relay-nats")]
            AnySink::Nats(sink) => AnySink::Nats(Box::new(sink.root_certificates(certificates))),
        }
    }
}

#[cfg(any(
    feature = "relay-postgres",
    feature = "relay-redis",
    feature = "relay-nats"
))]
fn unusable(error: everstream_relay::UrlError) -> Problem {
    Problem::because("the sink's URL can't be used", &error)
}

/// The URL isn't shown: it may be something else, such as a header's value without its quotes.
fn unknown(scheme: &str) -> Problem {
    match ENGINES.iter().find(|(name, ..)| *name == scheme) {
        Some((_, engine, feature)) => {
            let what = format!("this everstream was built without {engine}");
            Problem::new(what).hint(how_to_build(feature))
        }
        None => {
            let what = "the sink's URL doesn't begin with postgres://, redis:// or nats://";
            Problem::new(what)
        }
    }
}

/// As `user:password@`, as a parameter, or as NATS' `token@`.
fn has_password(url: &str, user_has_one: bool) -> bool {
    let is_nats = ["nats://", "tls://"].iter().any(|it| url.starts_with(it));
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut parameters = query.split('&').filter_map(|pair| pair.split_once('='));
    user(url).is_some_and(|user| user.contains(':') || (is_nats && !user_has_one))
        || parameters.any(|(name, _)| ["password", "pass", "token"].contains(&name))
}

/// What stands before the host.
fn user(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit_once('@').map(|(user, _)| user)
}

macro_rules! each {
    ($sink:expr, $it:ident => $call:expr) => {
        match $sink {
            AnySink::Memory($it) => $call,
            #[cfg(feature = "relay-postgres")]
            AnySink::Postgres($it) => $call,
            #[cfg(feature = "relay-redis")]
            AnySink::Redis($it) => $call,
            #[cfg(feature = "relay-nats")]
            AnySink::Nats($it) => $call,
        }
    };
}

impl Sink for NamedSink {
    async fn open(&mut self, recent: usize) -> Result<Held, SinkError> {
        let result = each!(&mut self.sink, it => it.open(recent).await);
        result.map_err(|error| match error {
            SinkError::Unavailable(error) => SinkError::Unavailable(self.at(&*error)),
            other => other,
        })
    }

    async fn tail(&mut self) -> Result<Tail, SinkError> {
        let result = each!(&mut self.sink, it => it.tail().await);
        result.map_err(|error| match error {
            SinkError::Unavailable(error) => SinkError::Unavailable(self.at(&*error)),
            other => other,
        })
    }

    async fn append(&mut self, after: &Tail, batch: &[Record]) -> Result<Tail, AppendError> {
        let result = each!(&mut self.sink, it => it.append(after, batch).await);
        result.map_err(|error| match error {
            AppendError::Unavailable(error) => AppendError::Unavailable(self.at(&*error)),
            other => other,
        })
    }
}

/// "Redis at HOST:PORT: connection refused".
fn at(engine: &str, address: &str, error: &str) -> String {
    if let Some(rest) = error.strip_prefix(engine).filter(|it| it.starts_with(' ')) {
        return format!("{engine} at {address}{rest}");
    }
    let error = error.replacen("Connection refused", "connection refused", 1);
    format!("{engine} at {address}: {error}")
}

/// What the scheme of a URL names.
fn engine(scheme: &str) -> &'static str {
    let found = ENGINES.iter().find(|(name, ..)| *name == scheme);
    found.map_or("memory", |(_, engine, _)| engine)
}

/// The hosts, or the path of a socket. Never the user, the password and the parameters.
fn address(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest[..end].rsplit_once('@').map_or(&rest[..end], |it| it.1);
    match authority.is_empty() {
        true => rest[end..].split(['?', '#']).next().unwrap_or_default(),
        false => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_is_missing_is_named_with_its_feature() {
        for (scheme, engine, feature) in ENGINES {
            let expected = Problem::new(format!("this everstream was built without {engine}"))
                .hint(format!(
                    "build it with --features {feature}: \
                     cargo install --git REPO everstream-cli --features {feature}"
                ));
            assert_eq!(unknown(scheme), expected);
        }
        assert!(
            unknown("mysql")
                .what()
                .contains("postgres://, redis:// or nats://")
        );
    }

    #[test]
    fn help_lists_the_engines_of_the_build_and_the_features_of_the_others() {
        let all = "Engines of this build: PostgreSQL, Redis, NATS.";
        assert_eq!(engines_of(|_| true), all);
        assert_eq!(
            engines_of(|feature| feature == "relay-redis"),
            "Engines of this build: Redis. For PostgreSQL or NATS, build it with --features \
             relay-postgres,relay-nats: cargo install --git REPO everstream-cli --features \
             relay-postgres,relay-nats"
        );
        let none = engines_of(|_| false);
        let start = "Engines of this build: none. For PostgreSQL, Redis or NATS, build it with ";
        assert!(none.starts_with(start), "{none}");
    }

    #[test]
    fn an_unavailable_engine_is_named_without_secrets() {
        for (url, shown) in [
            ("redis://:se@cret@host:1/0?key=a", "host:1"),
            ("postgres://me:secret@a:1,b:2/db?password=secret", "a:1,b:2"),
            ("nats://token@host", "host"),
            (
                "unix:///run/redis.sock?key=a&pass=secret",
                "/run/redis.sock",
            ),
        ] {
            assert_eq!(address(url), shown);
        }
        assert_eq!(engine("rediss"), "Redis");
        for (error, shown) in [
            (
                "Connection refused (os error 111)",
                "Redis at host:1: connection refused (os error 111)",
            ),
            (
                "Redis didn't answer within 10 s",
                "Redis at host:1 didn't answer within 10 s",
            ),
        ] {
            assert_eq!(at("Redis", "host:1", error), shown);
        }
    }

    #[test]
    fn passwords_in_urls_are_found() {
        for url in [
            "redis://:secret@host/0?key=feed",
            "postgres://me:s%40cret@host/db?table=a",
            "postgres://me:se@cret@host/db",
            "postgres://host/db?user=me&password=secret",
            "nats://token@host/STREAM",
        ] {
            assert!(has_password(url, false), "{url}");
        }
        for url in [
            "redis://host:6379/0?key=a:b@c",
            "postgres://me@host:5432/db?table=events&feed=a:b@c",
            "nats://host/STREAM",
            "memory://",
            "x",
        ] {
            assert!(!has_password(url, false), "{url}");
        }
        assert!(!has_password("nats://me@host/STREAM", true));
    }
}
