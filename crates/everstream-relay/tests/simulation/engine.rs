//! An engine that compares and appends, and that is killed, paused, and failed over.

use everstream_relay::{AppendError, Command, DEAD_LETTER, Held, Record, SinkError, Tail};

use super::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Up,
    /// It takes commands, and does nothing.
    Paused,
    Down,
}

pub(crate) struct Engine {
    pub(crate) state: State,
    pub(crate) log: Vec<u64>,
    /// How many entries of the log have been looked at.
    pub(crate) checked: usize,
    /// A failover lost everything.
    pub(crate) was_emptied: bool,
}

/// What a command came to.
pub(crate) enum Answer {
    Opened(Result<Held, SinkError>),
    Tail(Result<Tail, SinkError>),
    Appended(Result<Tail, AppendError>),
}

/// An event that the log can't store.
pub(crate) fn is_poison(event: u64) -> bool {
    event % 97 == 0
}

impl Engine {
    pub(crate) fn tail(&self) -> Tail {
        Tail {
            pos: self.log.len() as u64,
            id: self.log.last().map(u64::to_string),
        }
    }

    /// The sink's answer while the engine is up.
    pub(crate) fn run(&mut self, command: &Command, random: &mut Random) -> Answer {
        match command {
            Command::Open { recent } => {
                let skipped = self.log.len().saturating_sub(*recent);
                let recent = self.log[skipped..].iter().map(u64::to_string).collect();
                Answer::Opened(Ok(Held::new(self.tail(), recent, None)))
            }
            Command::Tail => Answer::Tail(Ok(self.tail())),
            Command::Append { after, batch } => Answer::Appended(self.append(after, batch, random)),
        }
    }

    fn append(
        &mut self,
        after: &Tail,
        batch: &[Record],
        random: &mut Random,
    ) -> Result<Tail, AppendError> {
        assert!(!batch.is_empty());
        if *after != self.tail() {
            return Err(AppendError::Conflict);
        }
        let rejected = |it: &Record| it.event != DEAD_LETTER && is_poison(number(it));
        if let Some(index) = batch.iter().position(rejected) {
            let why = "poison".to_owned();
            return Err(AppendError::Rejected { index, why });
        }
        let count = match random.one_in(10) {
            true => 1 + random.below(batch.len() as u64) as usize,
            false => batch.len(),
        };
        self.log.extend(batch[..count].iter().map(number));
        Ok(self.tail())
    }

    /// A replica takes over that doesn't have the last records.
    pub(crate) fn fail_over(&mut self, random: &mut Random) {
        let lost = random.below(12) as usize;
        let kept = self.log.len().saturating_sub(lost);
        self.was_emptied |= kept == 0 && !self.log.is_empty();
        self.log.truncate(kept);
        self.checked = self.checked.min(self.log.len());
    }
}

/// What the sink says when the engine is down.
pub(crate) fn unavailable(command: &Command) -> Answer {
    match command {
        Command::Open { .. } => Answer::Opened(Err(SinkError::Unavailable("down".into()))),
        Command::Tail => Answer::Tail(Err(SinkError::Unavailable("down".into()))),
        Command::Append { .. } => Answer::Appended(Err(AppendError::Unavailable("down".into()))),
    }
}

/// What it says when the connection broke before the answer arrived.
pub(crate) fn unanswered(command: &Command) -> Answer {
    match command {
        Command::Append { .. } => Answer::Appended(Err(AppendError::Unknown("no answer".into()))),
        other => unavailable(other),
    }
}

pub(crate) fn number(record: &Record) -> u64 {
    let id = record.id.as_deref().expect("an id");
    id.parse().expect("a number")
}
