//! `everstream URL`: prints the events of a stream as they come.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::{Instant, SystemTime};

use everstream::{Action, Error, Event, RedactedUrl, SseClient};

use crate::args::FollowArgs;
use crate::cursor::Cursor;
use crate::exec::{Jobs, Outcome};
use crate::exit::Exit;
use crate::explain;
use crate::jq::Jq;
use crate::output::{Printer, output_is_pipe};
use crate::progress::Progress;
use crate::report::{self, Problem};
use crate::select::{self, Last, Select};
use crate::status::Status;
use crate::stop::{GRACE, READER_GONE, Stop};

pub(crate) fn run(args: &FollowArgs) -> Exit {
    if args.output.quiet {
        report::be_quiet();
    }
    match prepare(args) {
        Ok((client, follower)) => crate::block_on(follower.run(client)),
        Err(problem) => problem.tell(),
    }
}

/// All that can be wrong with the command line is found here.
fn prepare(args: &FollowArgs) -> Result<(SseClient, Follower<'_>), Problem> {
    let mut select = Select::new(&args.select)?;
    let jq = args.jq.as_deref().map(Jq::compile).transpose()?;
    let cursor = Cursor::open(&args.cursor)?;
    let kept = cursor.as_ref().and_then(Cursor::id);
    let id = kept.or(args.reconnect.last_event_id.as_deref());

    let mut builder = SseClient::builder(args.request.http()?);
    builder = args
        .reconnect
        .apply(builder)
        .read_timeout(args.request.read_timeout);
    if let Some(id) = id {
        if id.contains(|c: char| c.is_ascii_control() && c != '\t') {
            let what = "the last event id holds a control character, which can't be sent";
            return Err(Problem::new(what));
        }
        select.remember(id);
        builder = builder.last_event_id(id);
    }
    let (builder, last) = select::apply_until(&args.select, builder)?;
    let client = builder
        .build()
        .map_err(|error| bad_setting(&args.request.url, &error))?;
    let follower = Follower {
        args,
        printer: Printer::new(&args.output),
        select,
        jq,
        jobs: Jobs::new(&args.exec),
        progress: Progress::new(cursor),
        status: Status::new(args.output.quiet),
        stop: Stop::default(),
        last,
        deadline: args
            .select
            .duration
            .and_then(|time| Instant::now().checked_add(time)),
        received: 0,
        selected: 0,
        connections: 0,
        failures: 0,
        lost: None,
    };
    Ok((client, follower))
}

pub(crate) fn bad_setting(url: &str, error: &Error) -> Problem {
    let problem = Problem::because("this can't be followed", error);
    if matches!(error, Error::Config { setting: "url", .. }) && !url.contains("://") {
        let guess = format!("http://{url}");
        return problem.hint(format!(
            "a URL begins with http:// or https://, as in {}",
            RedactedUrl(&guess)
        ));
    }
    problem
}

struct Follower<'a> {
    args: &'a FollowArgs,
    printer: Printer,
    select: Select,
    jq: Option<Jq>,
    jobs: Option<Jobs>,
    progress: Progress,
    status: Option<Status>,
    stop: Stop,
    last: Last,
    deadline: Option<Instant>,
    received: u64,
    selected: u64,
    connections: u64,
    /// Of the program of `--jq`.
    failures: u64,
    /// The connection's end, which is told when it is known whether there will be another.
    lost: Option<String>,
}

/// Why it is over.
enum End {
    /// As asked, by this.
    Asked(&'static str),
    /// It has been told.
    Told(Exit),
    Output(io::Error),
    Cursor(io::Error),
}

/// What came first.
enum Step {
    Action(Option<Result<Action, Error>>),
    Job(Outcome),
    Time,
}

impl Follower<'_> {
    async fn run(mut self, mut client: SseClient) -> Exit {
        if let Err(error) = self.watch(&client) {
            report::error("signals can't be watched", Some(&error));
            return Exit::Failed;
        }
        let mut end = match self.follow(&mut client).await {
            Ok(end) | Err(end) => end,
        };
        client.close();
        // What runs is waited for, and counts.
        while let Some(outcome) = next_job(&mut self.jobs).await {
            if let Err(error) = self.finished(&outcome) {
                end = error;
            }
        }
        if let Err(error) = self.progress.write() {
            end = End::Cursor(error);
        }
        report::erase_status();
        self.tell(end, client.last_event_id())
    }

    fn watch(&mut self, client: &SseClient) -> io::Result<()> {
        // A command takes as long as it takes; a second signal doesn't wait for it.
        let grace = self.jobs.is_none().then_some(GRACE);
        self.stop = Stop::at_signals(client.handle(), Exit::Done, grace)?;
        if output_is_pipe() {
            self.stop.when_reader_leaves(client.handle())?;
        }
        Ok(())
    }

    /// The exit code, after what there is to say.
    fn tell(&self, end: End, last_event_id: Option<&str>) -> Exit {
        let exit = match end {
            End::Told(exit) => exit,
            End::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            End::Output(error) => {
                report::error("the output can't be written", Some(&error));
                Exit::Failed
            }
            End::Cursor(error) => {
                report::error("the cursor can't be written", Some(&error));
                report::hint("is there room, and may this user write to its folder?");
                Exit::Failed
            }
            // Whoever reads has enough, as in `| head -1`.
            End::Asked(READER_GONE) => Exit::Done,
            End::Asked(by) => {
                let cursor = self.progress.has_cursor();
                report::news(&explain::stopped(by, self.selected, last_event_id, cursor));
                Exit::Done
            }
        };
        let failures = self.failures + self.jobs.as_ref().map_or(0, |jobs| jobs.failures);
        if exit == Exit::Done && failures > 0 {
            report::error(
                &format!("{failures} of {} events failed", self.selected),
                None,
            );
            return Exit::EventFailed;
        }
        exit
    }

    async fn follow(&mut self, client: &mut SseClient) -> Result<End, End> {
        loop {
            if let Some(status) = &mut self.status {
                status.draw();
            }
            if self
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline)
            {
                return Ok(self.out_of_time());
            }
            let action = match self.step(client).await? {
                Step::Action(action) => action,
                Step::Job(outcome) => {
                    self.finished(&outcome)?;
                    continue;
                }
                Step::Time => continue,
            };
            match action {
                Some(Ok(action)) => {
                    if let Some(end) = self.take(action, client)? {
                        return Ok(end);
                    }
                }
                Some(Err(error)) => {
                    explain::gave_up(&error);
                    return Ok(End::Told(Exit::from(&error)));
                }
                None => return self.over(),
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
                report::news(&lost);
            }
            // A block with only an id counts as well.
            self.progress
                .reached(client.last_event_id())
                .map_err(End::Cursor)?;
        }
        self.progress.write().map_err(End::Cursor)?;

        let due = self.status.as_ref().map(Status::due);
        let alarm = match (due, self.deadline.filter(|_| reading)) {
            (Some(due), Some(deadline)) => Some(due.min(deadline)),
            (due, deadline) => due.or(deadline),
        };
        Ok(tokio::select! {
            action = client.next_action(), if reading => Step::Action(action),
            Some(outcome) = next_job(&mut self.jobs) => Step::Job(outcome),
            () = sleep_until(alarm) => Step::Time,
        })
    }

    fn take(&mut self, action: Action, client: &SseClient) -> Result<Option<End>, End> {
        match action {
            Action::Event(event) => return self.event(&event),
            Action::Comment(text) => {
                if let Some(status) = &mut self.status {
                    status.came();
                }
                let now = SystemTime::now();
                self.printer.comment(&text, now).map_err(End::Output)?;
            }
            Action::Start(start) => {
                if let Some(lost) = self.lost.take() {
                    report::news(&lost);
                }
                self.connections += 1;
                if let Some(status) = &mut self.status {
                    status.connected();
                }
                let id = client.last_event_id();
                report::news(&explain::started(&start, self.connections, id));
                if self.args.output.verbose {
                    explain::response(&start)
                        .iter()
                        .for_each(|line| report::news(line));
                }
            }
            Action::Fault(fault) => {
                let delay = client.next_retry_delay();
                if let Some(status) = &mut self.status {
                    status.lost(delay);
                }
                let before = self.lost.replace(explain::lost(fault.as_ref(), delay));
                before.iter().for_each(|lost| report::news(lost));
            }
            _ => {}
        }
        Ok(None)
    }

    fn event(&mut self, event: &Event) -> Result<Option<End>, End> {
        let now = SystemTime::now();
        self.received += 1;
        if let Some(status) = &mut self.status {
            status.event();
        }
        if self.select.takes(event) && self.write(event, now)? {
            self.selected += 1;
        }
        self.progress
            .reached(event.last_event_id())
            .map_err(End::Cursor)?;
        let enough = self.args.select.count == Some(self.selected);
        Ok(enough.then_some(End::Asked("--count")))
    }

    /// Writes it, or gives it to a command; false, if the program of `--jq` has no result for it.
    fn write(&mut self, event: &Event, now: SystemTime) -> Result<bool, End> {
        let mut input = String::new();
        let mut results: u64 = 0;
        if let Some(jq) = &self.jq {
            for result in jq.run(event) {
                results += 1;
                match result {
                    Ok(json) if self.jobs.is_some() => {
                        input += &json;
                        input.push('\n');
                    }
                    Ok(json) => self.printer.result(&json).map_err(End::Output)?,
                    Err(problem) => {
                        self.failures += 1;
                        report::error(&format!("--jq failed for {}: {problem}", name(event)), None);
                    }
                }
            }
            if results == 0 {
                return Ok(false);
            }
        }
        match &mut self.jobs {
            Some(jobs) => {
                let input = match self.jq {
                    Some(_) => input,
                    None => event.data().to_owned(),
                };
                self.progress.begin(self.received, event.last_event_id());
                jobs.start(self.received, event, input);
            }
            None if self.jq.is_none() => {
                self.printer.event(event, now).map_err(End::Output)?;
            }
            None => {}
        }
        Ok(true)
    }

    /// A command has ended.
    fn finished(&mut self, outcome: &Outcome) -> Result<(), End> {
        let kept = self.progress.has_cursor() && !self.args.exec.exec_keep_going;
        if outcome.succeeded || !kept {
            return self.progress.finish(outcome.number).map_err(End::Cursor);
        }
        report::news("the cursor stays before that event, so that the next run begins with it");
        Err(End::Told(Exit::EventFailed))
    }

    fn out_of_time(&self) -> End {
        if self.args.select.count.is_none() && self.args.select.until.is_none() {
            return End::Asked("--duration");
        }
        let seen = self.selected;
        report::error(
            &format!("--duration has passed after {seen} events, before the last one came"),
            None,
        );
        End::Told(Exit::TimedOut)
    }

    /// The iteration is over.
    fn over(&mut self) -> Result<End, End> {
        if let Some(id) = self.last.reached() {
            self.progress.reached(id).map_err(End::Cursor)?;
            return Ok(End::Asked("--until"));
        }
        if let Some(by) = self.stop.asked() {
            return Ok(End::Asked(by));
        }
        if let Some(count) = self.args.select.count {
            report::error(
                &format!(
                    "the server ended the stream after {} of {count} events",
                    self.selected
                ),
                None,
            );
            report::hint("without --no-reconnect it connects again; a POST needs --repeat-unsafe");
            return Ok(End::Told(Exit::Broken));
        }
        Ok(End::Asked("the end of the stream"))
    }
}

/// How an event is called in an error.
fn name(event: &Event) -> String {
    match event.id() {
        Some(id) => format!("the event with id {id}"),
        None => format!("an event of type {}", event.event()),
    }
}

async fn next_job(jobs: &mut Option<Jobs>) -> Option<Outcome> {
    jobs.as_mut()?.next().await
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

/// What a future has ready now. Reads of the client can be given up and begun again.
async fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}
