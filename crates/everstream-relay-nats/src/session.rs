//! A connection, the stream as it was found, and a run of appends.

use std::future::IntoFuture;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{Context, ContextBuilder, GetStreamErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, LastRawMessageErrorKind, RetentionPolicy, Stream};
use async_nats::{Client, ConnectOptions, Event};
use bytes::Bytes;
use everstream_relay::{AppendError, Record, Tail};
use futures_util::future::{Either, join_all, select};
use futures_util::{StreamExt, stream};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::watch;

use crate::Settings;
use crate::message::{Layout, MAX_HEADERS, Place, headers, id_of, size};
use crate::problem::{Problem, Refusal, explain, refusal};

/// Left for the headers, of what a message may have.
const FOR_HEADERS: usize = 4096;

/// Messages that are read at once.
const READ_AHEAD: usize = 32;

pub(crate) struct Session {
    client: Client,
    context: Context,
    settings: Settings,
    /// Whether the connection has broken. The client isn't asked to reconnect: what it had not sent
    /// would be sent late.
    is_broken: watch::Receiver<bool>,
    target: Option<Target>,
    /// Names this run in the ids of its messages.
    run: String,
    /// Where this run's last append ended, if it was stored whole.
    run_end: Option<Tail>,
}

/// The stream that was found or created.
struct Target {
    stream: Stream<()>,
    subject: String,
    max_bytes: usize,
}

/// What became of messages.
pub(crate) enum Outcome {
    /// That many, at least one.
    Stored(usize),
    Conflict,
    /// None were, and the server said why.
    Refused(String),
    Unknown(String),
}

impl Session {
    pub(crate) async fn start(settings: &Settings) -> Result<Session, Problem> {
        if CryptoProvider::get_default().is_none() {
            // The client panics without one. An error says that another thread was faster.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let (broken, is_broken) = watch::channel(false);
        let count = u32::try_from(settings.servers.len()).unwrap_or(u32::MAX);
        let mut options = ConnectOptions::new()
            .name("everstream-relay")
            // So that there is time for the others, if one doesn't answer.
            .connection_timeout(settings.timeout / count.max(1))
            .request_timeout(Some(settings.timeout))
            .max_reconnects(1)
            .event_callback(move |event| {
                if matches!(event, Event::Disconnected | Event::Closed) {
                    broken.send_replace(true);
                }
                std::future::ready(())
            });
        if let Some(path) = &settings.credentials {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Problem::Setup(format!("{}: {error}", path.display())))?;
            options = options
                .credentials(&text)
                .map_err(|_| Problem::Setup(format!("{} has no credentials", path.display())))?;
        }
        options = match (&settings.user, &settings.password, &settings.token) {
            (_, _, Some(token)) => options.token(token.clone()),
            (Some(user), Some(password), None) => {
                options.user_and_password(user.clone(), password.clone())
            }
            (Some(token), None, None) => options.token(token.clone()),
            (None, _, None) => options,
        };
        if let Some(pem) = &settings.extra_roots {
            options = options.tls_client_config(trusting(pem)?);
        }
        let client = connect(&options, &settings.servers).await?;
        let context = ContextBuilder::new()
            .timeout(settings.timeout)
            // The acknowledgements of an append that was dropped; they tell nothing any more.
            .ack_timeout(Duration::from_secs(1))
            .build(client.clone());
        Ok(Session {
            client,
            context,
            settings: settings.clone(),
            is_broken,
            target: None,
            run: String::new(),
            run_end: None,
        })
    }

    pub(crate) fn is_open(&self) -> bool {
        !*self.is_broken.borrow()
    }

    /// Finds the stream, or creates it.
    pub(crate) async fn prepare(&mut self) -> Result<(), Problem> {
        if self.find().await? {
            return Ok(());
        }
        let created = self.create().await?;
        self.adopt(&created).await
    }

    /// Whether the stream exists.
    async fn find(&mut self) -> Result<bool, Problem> {
        if self.target.is_some() {
            return Ok(true);
        }
        match self.context.get_stream(&self.settings.stream).await {
            Ok(found) => self.adopt(&found).await.map(|()| true),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    Ok(false)
                }
                GetStreamErrorKind::JetStream(error) => Err(Problem::of(&error)),
                _ => Err(Problem::Passing(explain(&error))),
            },
        }
    }

    /// Takes this one as the target, if a feed can be stored in it.
    async fn adopt(&mut self, found: &Stream) -> Result<(), Problem> {
        let name = &self.settings.stream;
        let config = &found.cached_info().config;
        let unfit = match () {
            () if config.retention != RetentionPolicy::Limits => {
                "removes messages that consumers acknowledged: its retention policy has to be limits"
            }
            () if config.no_ack => "acknowledges nothing",
            () if config.sealed => "is sealed",
            () if config.mirror.is_some() => "is a mirror",
            () if config.sources.as_ref().is_some_and(|it| !it.is_empty()) => "has other sources",
            () => "",
        };
        if !unfit.is_empty() {
            return Err(Problem::Setup(format!("the stream {name} {unfit}")));
        }
        let subject = match (&self.settings.subject, &config.subjects[..]) {
            (Some(subject), _) => subject.clone(),
            (None, [only]) if crate::is_subject(only) => only.clone(),
            (None, subjects) => {
                return Err(Problem::Setup(format!(
                    "the stream {name} has the subjects {}: name one with ?subject=",
                    subjects.join(", ")
                )));
            }
        };
        let mut max_bytes = self.client.max_payload();
        if let Ok(limit @ 1..) = usize::try_from(config.max_message_size) {
            max_bytes = max_bytes.min(limit);
        }
        let stream = self.context.get_stream_no_info(name).await;
        self.target = Some(Target {
            stream: stream.map_err(|error| Problem::Passing(explain(&error)))?,
            subject,
            max_bytes,
        });
        Ok(())
    }

    async fn create(&self) -> Result<Stream, Problem> {
        let name = &self.settings.stream;
        let subject = self.settings.subject.as_ref().unwrap_or(name);
        let config = Config {
            name: name.clone(),
            subjects: vec![subject.clone()],
            num_replicas: self.settings.replicas,
            ..Config::default()
        };
        let created = self.context.create_stream(config).await;
        created.map_err(|error| {
            use async_nats::jetstream::context::CreateStreamErrorKind as Kind;
            match error.kind() {
                Kind::JetStream(error) => Problem::of(&error),
                Kind::TimedOut | Kind::Response | Kind::ResponseParse => {
                    Problem::Passing(explain(&error))
                }
                _ => Problem::Setup(explain(&error)),
            }
        })
    }

    fn target(&self) -> Result<&Target, Problem> {
        let none = || Problem::Passing("the stream isn't known yet".to_owned());
        self.target.as_ref().ok_or_else(none)
    }

    /// Where the stream ends; one that is absent is empty. If its last message was removed, the position is known, but not the id.
    pub(crate) async fn tail(&mut self) -> Result<Tail, Problem> {
        match self.find().await? {
            true => Ok(self.end().await?.0),
            false => Ok(Tail::default()),
        }
    }

    /// The same, and whether the last message is there.
    async fn end(&self) -> Result<(Tail, bool), Problem> {
        let target = self.target()?;
        let info = target.stream.get_info().await;
        let info = info.map_err(|error| Problem::Passing(explain(&error)))?;
        let pos = info.state.last_sequence;
        if pos == 0 {
            return Ok((Tail { pos, id: None }, true));
        }
        match target.stream.get_raw_message(pos).await {
            Ok(message) => match id_of(&message.headers) {
                Some(id) => Ok((Tail { pos, id }, true)),
                None => Err(Problem::Setup(format!(
                    "the stream {} has messages that no relay wrote: the feed needs its own",
                    self.settings.stream
                ))),
            },
            Err(error) => match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok((Tail { pos, id: None }, false)),
                LastRawMessageErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::NO_MESSAGE_FOUND =>
                {
                    Ok((Tail { pos, id: None }, false))
                }
                _ => Err(Problem::Passing(explain(&error))),
            },
        }
    }

    /// The ids of the last `count` messages, the oldest first.
    pub(crate) async fn recent(&self, tail: &Tail, count: usize) -> Result<Vec<String>, Problem> {
        let target = self.target()?;
        let first = tail.pos.saturating_sub(count as u64) + 1;
        let read = |pos| async move {
            match target.stream.get_raw_message(pos).await {
                Ok(message) => Ok(id_of(&message.headers).flatten()),
                Err(error) => match error.kind() {
                    // Removed since, or long ago.
                    LastRawMessageErrorKind::NoMessageFound
                    | LastRawMessageErrorKind::JetStream(_) => Ok(None),
                    _ => Err(Problem::Passing(explain(&error))),
                },
            }
        };
        let mut reading = stream::iter(first..=tail.pos)
            .map(read)
            .buffered(READ_AHEAD);
        let mut ids = Vec::new();
        while let Some(id) = reading.next().await {
            ids.extend(id?);
        }
        Ok(ids)
    }

    /// The largest data that certainly fits into a message.
    pub(crate) fn max_record_bytes(&self) -> usize {
        let max_bytes = self.target.as_ref().map_or(0, |it| it.max_bytes);
        max_bytes.saturating_sub(FOR_HEADERS)
    }

    /// Refuses what the server would refuse.
    pub(crate) fn check_messages(
        &self,
        after: &Tail,
        records: &[Record],
        layout: &Layout<'_>,
    ) -> Result<(), AppendError> {
        let max_bytes = self.target.as_ref().map_or(0, |it| it.max_bytes);
        // As long as that of any run.
        let run = nuid::next();
        for (index, record) in records.iter().enumerate() {
            let place = Place {
                stream: &self.settings.stream,
                run: &run,
                pos: after.pos + 1 + index as u64,
                follows: true,
            };
            let bytes = size(&headers(record, &place, layout));
            let why = if bytes > MAX_HEADERS {
                format!(
                    "its id and type are {bytes} bytes of headers, and the limit is {MAX_HEADERS}"
                )
            } else if bytes + record.data.len() > max_bytes {
                let all = bytes + record.data.len();
                format!("it is a message of {all} bytes, and the limit is {max_bytes}")
            } else {
                continue;
            };
            return Err(AppendError::Rejected { index, why });
        }
        Ok(())
    }

    /// Whether the stream ends with `after`: by the last append of this run, or by looking. The sequence
    /// number is compared again by the server, and what it was given to never changes.
    pub(crate) async fn ends_with(&mut self, after: &Tail) -> Result<bool, Problem> {
        if self.run_end.as_ref() == Some(after) {
            return Ok(true);
        }
        self.run_end = None;
        self.run = nuid::next().to_string();
        let (end, is_there) = self.end().await?;
        Ok(end.pos == after.pos && (end.id == after.id || !is_there))
    }

    /// Publishes all, and waits for what the server says of each.
    pub(crate) async fn publish(
        &mut self,
        after: &Tail,
        records: &[Record],
        layout: &Layout<'_>,
    ) -> Outcome {
        // What isn't stored whole ends the run: its next message could be taken for one of these.
        let continues = self.run_end.take().is_some();
        let Some(target) = &self.target else {
            return Outcome::Refused("the stream isn't known yet".to_owned());
        };
        let mut acks = Vec::with_capacity(records.len());
        for (index, record) in records.iter().enumerate() {
            let place = Place {
                stream: &self.settings.stream,
                run: &self.run,
                pos: after.pos + 1 + index as u64,
                follows: continues || index > 0,
            };
            let message = PublishMessage::build()
                .payload(Bytes::copy_from_slice(record.data.as_bytes()))
                .headers(headers(record, &place, layout));
            match self
                .context
                .send_publish(target.subject.clone(), message)
                .await
            {
                Ok(ack) => acks.push(ack.into_future()),
                Err(error) if index == 0 => return Outcome::Unknown(explain(&error)),
                // The others behind it would fail.
                Err(_) => break,
            }
        }
        let sent = acks.len();
        let mut is_broken = self.is_broken.clone();
        let broken = std::pin::pin!(is_broken.wait_for(|it| *it));
        let results = match select(join_all(acks), broken).await {
            Either::Left((results, _)) => results,
            Either::Right(_) => return Outcome::Unknown("the connection to NATS broke".to_owned()),
        };
        let mut stored = 0;
        let mut failure = None;
        for (index, result) in results.into_iter().enumerate() {
            let pos = after.pos + 1 + index as u64;
            match (result, &failure) {
                (Ok(ack), None) if ack.sequence == pos && !ack.duplicate => stored += 1,
                (Ok(ack), _) => {
                    let at = ack.sequence;
                    return Outcome::Unknown(format!("the message for {pos} was stored at {at}"));
                }
                (Err(error), None) => failure = Some(error),
                (Err(_), Some(_)) => {}
            }
        }
        match failure {
            None => {
                if sent == records.len() {
                    self.run_end = Some(everstream_relay::batch::end_of(after, records));
                }
                Outcome::Stored(stored)
            }
            Some(error) => match refusal(&error) {
                None => Outcome::Unknown(explain(&error)),
                Some(_) if stored > 0 => Outcome::Stored(stored),
                Some(Refusal::Compared) => Outcome::Conflict,
                Some(Refusal::Other) => Outcome::Refused(explain(&error)),
            },
        }
    }
}

/// Connects to the first server that can be, beginning with any. The client alone would try one of them.
async fn connect(options: &ConnectOptions, servers: &[String]) -> Result<Client, Problem> {
    let mut problem = Problem::Setup("the URL has no host".to_owned());
    let begin = RandomState::new().hash_one(0) as usize % servers.len().max(1);
    for server in servers[begin..].iter().chain(&servers[..begin]) {
        match options.clone().connect(server.as_str()).await {
            Ok(client) => return Ok(client),
            Err(error) => problem = Problem::of_connecting(&error),
        }
        if matches!(problem, Problem::Setup(_)) {
            break;
        }
    }
    Err(problem)
}

/// Trusts the system's certificates and these.
fn trusting(pem: &[u8]) -> Result<ClientConfig, Problem> {
    let refused =
        |why: String| Problem::Setup(format!("the root certificates can't be used: {why}"));
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        store
            .add(certificate)
            .map_err(|error| refused(error.to_string()))?;
    }
    if store.is_empty() {
        return Err(refused("there is none".to_owned()));
    }
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder().with_root_certificates(store);
    Ok(config.with_no_client_auth())
}
