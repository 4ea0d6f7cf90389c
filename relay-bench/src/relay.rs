//! One run of a relay, from its first append to the last.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use everstream::SseClient;
use everstream_relay::{
    AppendError, Config, Held, PostgresSink, Record, RedisSink, Relay, Sink, SinkError, Tail,
};
use everstream_relay_nats::NatsSink;
use tokio::sync::Notify;

use crate::{Cost, Engine, Meter, Once, Outcome};

pub(crate) async fn run(once: &Once) -> Outcome<Cost> {
    let (url, log) = (&once.url, &once.log);
    match once.engine {
        Engine::Postgres => {
            let url = format!("{url}&table={log}&feed={log}");
            relay(once, PostgresSink::from_url(&url)?).await
        }
        Engine::Redis => relay(once, RedisSink::from_url(&format!("{url}?key={log}"))?).await,
        Engine::Nats => relay(once, NatsSink::from_url(&format!("{url}/{log}"))?).await,
    }
}

async fn relay(once: &Once, sink: impl Sink + 'static) -> Outcome<Cost> {
    let shared = Arc::new(Shared::default());
    let sink = Measured {
        sink,
        end: once.events,
        meter: None,
        shared: shared.clone(),
    };
    let mut config = Config::default();
    config.batch = once.batch;
    config.buffer = config.buffer.max(4 * once.batch);
    // The beginning isn't measured.
    config.takeover = Duration::from_millis(100);
    config.poll = Duration::from_millis(20);
    let relay = Relay::new(config, sink, || Ok(SseClient::builder(&once.feed)));
    tokio::select! {
        result = relay.run() => Err(format!("the relay ended: {:?}", result.err()).into()),
        () = shared.done.notified() => {
            let mut cost = shared.cost.lock().unwrap_or_else(PoisonError::into_inner);
            cost.take().ok_or("no figures")?
        }
    }
}

#[derive(Default)]
struct Shared {
    done: Notify,
    cost: Mutex<Option<Outcome<Cost>>>,
}

struct Measured<S> {
    sink: S,
    end: u64,
    meter: Option<Meter>,
    shared: Arc<Shared>,
}

impl<S: Sink> Sink for Measured<S> {
    async fn open(&mut self, recent: usize) -> Result<Held, SinkError> {
        self.sink.open(recent).await
    }

    async fn tail(&mut self) -> Result<Tail, SinkError> {
        self.sink.tail().await
    }

    async fn append(&mut self, after: &Tail, batch: &[Record]) -> Result<Tail, AppendError> {
        if self.meter.is_none() {
            self.meter = Meter::start().ok();
        }
        let end = self.sink.append(after, batch).await?;
        if end.pos >= self.end {
            let cost = self.meter.as_ref().map(Meter::cost);
            *self
                .shared
                .cost
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = cost;
            self.shared.done.notify_one();
        }
        Ok(end)
    }
}
