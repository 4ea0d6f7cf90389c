//! `everstream URL`: prints the events of a stream as they arrive.

mod ending;
mod write;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::SystemTime;

use everstream::error_strategy::always_fail;
use everstream::{Action, Error, Event, Fault, SseClient};

use crate::args::FollowArgs;
use crate::client_builder::client_builder;
use crate::cursor::Cursor;
use crate::duration::sleep_until;
use crate::end::End;
use crate::exec::{Jobs, LAST_TIME, Outcome};
use crate::exit::Exit;
use crate::explain;
use crate::jq::Jq;
use crate::output::{Printer, output_is_pipe};
use crate::progress::Progress;
use crate::report::{self, Problem};
use crate::request::bad_setting;
use crate::select::Select;
use crate::source::Source;
use crate::status::Status;
use crate::stop::{Deadline, Limits, MAX_TIME, OUT_OF_TIME, Stop};
use crate::terminal;
use crate::until::ReachedEnd;
use crate::waiting::{Detail, Waiting};

pub(crate) fn run(args: &FollowArgs) -> Exit {
    if args.output.quiet {
        report::be_quiet();
    }
    match prepare(args) {
        Ok((client, follower)) => crate::block_on(follower.run(client)),
        Err(problem) => problem.tell(),
    }
}

/// Finds everything that can be wrong with the command line.
fn prepare(args: &FollowArgs) -> Result<(SseClient, Follower<'_>), Problem> {
    let mut select = Select::new(&args.select)?;
    let jq = args.jq.as_deref().map(Jq::new).transpose()?;
    let cursor = Cursor::open(&args.cursor)?;
    let kept = cursor.as_ref().and_then(Cursor::id);

    let status = Status::new(args.output.has_no_status());
    let waiting = Waiting::new(Detail::new(args.output.verbose, status.as_ref()));
    let source = Source::of(&args.request.url)?;
    let mut builder = match source.saved() {
        None => {
            let http = explain::whole_if_verbose(args.request.http()?, args.output.verbose);
            client_builder(waiting.watch(http), &args.request, &args.reconnect)?
        }
        Some(saved) => {
            if cursor.is_some() {
                let what = "--cursor needs a URL: a saved stream can't be resumed";
                return Err(Problem::new(what));
            }
            let builder = SseClient::builder(saved.open()?.into_strategy());
            args.reconnect.read(builder).error_strategy(always_fail())
        }
    };
    if let Some(id) = kept {
        builder = builder.last_event_id(id);
    }
    if let Some(id) = kept.or(args.reconnect.last_event_id.as_deref()) {
        select.remember(id);
    }
    let (builder, last) = args.select.until.apply(builder);
    let client = builder
        .build()
        .map_err(|error| bad_setting("followed", &args.request.url, &error))?;
    let follower = Follower {
        args,
        source,
        printer: Printer::new(&args.output, args.cursor.cursor.is_some())?,
        select,
        jq,
        jobs: Jobs::new(&args.exec, args.request.bearer_env())?,
        progress: Progress::new(cursor),
        status,
        stop: Stop::default(),
        waiting,
        last,
        received: 0,
        selected: 0,
        connections: 0,
        failures: 0,
        lost: None,
        not_repeated: false,
        last_event_id: None,
        failed_last: false,
        interrupted: false,
    };
    Ok((client, follower))
}

struct Follower<'a> {
    args: &'a FollowArgs,
    source: Source,
    printer: Printer,
    select: Select,
    jq: Option<Jq>,
    jobs: Option<Jobs>,
    progress: Progress,
    status: Option<Status>,
    stop: Stop,
    waiting: Waiting,
    last: ReachedEnd,
    received: u64,
    selected: u64,
    connections: u64,
    /// What `--jq` produced.
    failures: u64,
    /// The end of the connection, which is reported once it is known whether there will be another.
    lost: Option<String>,
    /// The server has ended the stream, and the request isn't safe to resend.
    not_repeated: bool,
    /// The newest id, once the client has ended.
    last_event_id: Option<String>,
    /// The program of `--jq` failed for the newest event.
    failed_last: bool,
    /// The newest event wasn't finished, so the next run must not resume after it.
    interrupted: bool,
}

/// What happened first.
enum Step {
    Action(Option<Result<Action, Error>>),
    Job(Outcome),
    /// The client has something to handle.
    Again,
}

impl Follower<'_> {
    async fn run(mut self, mut client: SseClient) -> Exit {
        if let Err(error) = self.watch(&client) {
            report::error("can't handle signals", Some(&error));
            return Exit::Failed;
        }
        let mut end = match self.follow(&mut client).await {
            Ok(end) | Err(end) => end,
        };
        client.close();
        if let (End::Requested(_), Some(jobs)) = (&end, &self.jobs) {
            if self.stop.asked().is_some() && jobs.running() > 0 {
                report::info(
                    "waiting for running commands; they are killed after 10 s, or at the next Ctrl-C",
                );
            }
        }
        if let Some(error) = self.end_jobs().await {
            end = error;
        }
        if let Err(error) = self.progress.write() {
            end = End::Cursor(error);
        }
        terminal::erase_status();
        // Errors on standard error are ignored.
        _ = self.printer.finish();
        let failures = self.failures + self.jobs.as_ref().map_or(0, |jobs| jobs.failures);
        // There is nothing to resume, or no need to say how.
        let cursor = self.progress.has_cursor() || self.source.saved().is_some();
        let last_event_id = client.last_event_id().filter(|_| !self.interrupted);
        end.report(self.selected, failures, last_event_id, cursor)
    }

    fn asked(&self) -> explain::Asked<'_> {
        let (request, reconnect) = (&self.args.request, &self.args.reconnect);
        explain::Asked {
            connections: self.connections,
            last_event_id: self.last_event_id.as_deref(),
            cursor: self.args.cursor.cursor.as_deref(),
            until: Some(&self.args.select.until),
            saved: self.source.saved(),
            verbose: self.args.output.verbose,
            ..explain::Asked::new(request, reconnect)
        }
    }

    fn watch(&mut self, client: &SseClient) -> io::Result<()> {
        let select = &self.args.select;
        let late = match select.expects_an_end() {
            true => Exit::TimedOut,
            false => Exit::Done,
        };
        let deadlines = [
            Deadline::new(select.duration, OUT_OF_TIME, late),
            Deadline::new(self.args.request.max_time(), MAX_TIME, Exit::TimedOut),
        ];
        let limits = Limits {
            exit: Exit::Done,
            deadline: Deadline::first(deadlines),
            commands: self.jobs.is_some().then_some(LAST_TIME),
        };
        self.stop = Stop::watch(client.handle(), limits)?;
        if self.args.output.is_stdout() && output_is_pipe() {
            self.stop.close_when_output_closes(client.handle())?;
        }
        Ok(())
    }

    /// Waits for running commands, which count. After a request to stop, it doesn't wait long.
    async fn end_jobs(&mut self) -> Option<End> {
        let mut end = None;
        loop {
            let outcome = tokio::select! {
                outcome = next_job(&mut self.jobs) => outcome,
                () = self.stop.at_once() => break,
            };
            let Some(outcome) = outcome else { return end };
            end = self.finished(&outcome).err().or(end);
        }
        let jobs = self.jobs.as_mut()?;
        jobs.kill();
        let killed = jobs.running();
        let plural = if killed == 1 { "" } else { "s" };
        report::error(&format!("killed {killed} running command{plural}"), None);
        while let Some(outcome) = next_job(&mut self.jobs).await {
            end = self.finished(&outcome).err().or(end);
        }
        end
    }

    async fn follow(&mut self, client: &mut SseClient) -> Result<End, End> {
        loop {
            if let Some(status) = &mut self.status {
                status.draw(client.silence(), self.waiting.has_no_response());
            }
            self.waiting.report(client.silence());
            if self.stop.asked().is_some() {
                return Ok(self.over());
            }
            match self.step(client).await? {
                Step::Action(Some(Ok(action))) => {
                    if let Some(end) = self.take(action, client).await? {
                        return Ok(end);
                    }
                }
                Step::Action(Some(Err(error))) => {
                    if self.failed_last && matches!(error.fault(), Some(Fault::Incomplete)) {
                        return Ok(End::Requested(self.end_of_stream()));
                    }
                    self.last_event_id = client.last_event_id().map(str::to_owned);
                    explain::gave_up(&error, &self.asked());
                    return Ok(End::Reported(Exit::from(&error)));
                }
                Step::Action(None) => {
                    self.last_event_id = client.last_event_id().map(str::to_owned);
                    return self.finish().await;
                }
                Step::Job(outcome) => self.finished(&outcome)?,
                Step::Again => {}
            }
        }
    }

    /// Waits for the next thing.
    async fn step(&mut self, client: &mut SseClient) -> Result<Step, End> {
        let mut reading = true;
        if let Some(jobs) = &self.jobs {
            reading = !jobs.is_full();
        }
        if reading {
            if let Poll::Ready(action) = poll_once(client.next_action()).await {
                return Ok(Step::Action(action));
            }
            if let Some(lost) = self.lost.take() {
                report::info(&lost);
            }
            // A block with only an id moves the cursor too.
            self.progress
                .reached(client.last_event_id())
                .map_err(End::Cursor)?;
        }
        self.progress.write().map_err(End::Cursor)?;

        let due = self.status.as_ref().map(Status::due);
        Ok(tokio::select! {
            action = client.next_action(), if reading => Step::Action(action),
            Some(outcome) = next_job(&mut self.jobs) => Step::Job(outcome),
            () = self.stop.close_when_requested() => Step::Again,
            () = self.waiting.hangs() => Step::Again,
            () = sleep_until(due) => Step::Again,
        })
    }

    async fn take(&mut self, action: Action, client: &SseClient) -> Result<Option<End>, End> {
        self.waiting.take(&action);
        match action {
            Action::Event(event) => return self.event(&event).await,
            Action::Comment(text) => {
                let now = SystemTime::now();
                self.printer.comment(&text, now).map_err(End::Output)?;
            }
            Action::Start(start) => {
                if let Some(lost) = self.lost.take() {
                    report::info(&lost);
                }
                self.connections += 1;
                if let Some(status) = &mut self.status {
                    status.connected();
                }
                let id = client.last_event_id();
                match self.source.saved() {
                    Some(saved) => report::info(&format!("reading {}", saved.name())),
                    None => report::info(&explain::started(&start, self.connections, id)),
                }
                if let Some(text) = explain::withheld(&start) {
                    report::warning(&text);
                }
                if self.args.output.include {
                    let now = SystemTime::now();
                    self.printer.head(&start, now).map_err(End::Output)?;
                }
                if self.args.output.verbose {
                    explain::response(&start)
                        .iter()
                        .for_each(|line| report::info(line));
                }
            }
            Action::Fault(fault) => self.disconnected(Some(&fault), client),
            Action::End(end) => {
                self.not_repeated = end.not_repeated;
                self.disconnected(None, client);
                explain::warn_about_discarded(&end, &self.asked());
                let ignored = self.source.saved().zip(end.ignored_text.as_deref());
                if let Some(hint) = ignored.and_then(|(saved, text)| saved.hint(text)) {
                    report::hint(&hint);
                }
            }
            _ => {}
        }
        Ok(None)
    }

    fn disconnected(&mut self, fault: Option<&Fault>, client: &SseClient) {
        let delay = client.next_retry_delay();
        if let Some(status) = &mut self.status {
            status.lost(delay);
        }
        let before = self.lost.replace(explain::lost(fault, delay));
        before.iter().for_each(|lost| report::info(lost));
        if let Some(fault) = fault {
            explain::warn_about_retry(fault, self.connections);
        }
    }

    async fn event(&mut self, event: &Event) -> Result<Option<End>, End> {
        let now = SystemTime::now();
        self.received += 1;
        if let Some(status) = &mut self.status {
            status.event();
        }
        if self.select.takes(event) && self.write(event, now).await? {
            self.selected += 1;
        }
        self.progress
            .reached(event.last_event_id())
            .map_err(End::Cursor)?;
        let enough = self.args.select.count == Some(self.selected);
        Ok(enough.then_some(End::Requested("--count")))
    }

    /// A command has ended.
    fn finished(&mut self, outcome: &Outcome) -> Result<(), End> {
        let kept = self.progress.has_cursor() && !self.args.exec.exec_keep_going;
        if outcome.succeeded || !kept {
            return self.progress.finish(outcome.number).map_err(End::Cursor);
        }
        report::info("the cursor stays before that event: the next run starts with it");
        Err(End::Reported(Exit::EventFailed))
    }
}

async fn next_job(jobs: &mut Option<Jobs>) -> Option<Outcome> {
    jobs.as_mut()?.next().await
}

/// Polls a future once. Reads of the client can be dropped and started again.
async fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}
