//! `everstream record`: follows a stream and writes its bytes and their times to a file.
//!
//! The client is the one of `follow`, with a tap between it and HTTP (`tap.rs`). `recording/`
//! describes the file format.

mod tap;

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use everstream::{Action, Fault, Http, SseClient};

use crate::client_builder::client_builder;
use crate::duration::{self, sleep_until};
use crate::exit::Exit;
use crate::explain;
use crate::output::output_is_pipe;
use crate::reconnect::ReconnectArgs;
use crate::recording::{Entry, Reader, Writer};
use crate::report::{self, Problem};
use crate::request::{RequestArgs, bad_setting};
use crate::status::Status;
use crate::stop::{Deadline, Limits, MAX_TIME, OUT_OF_TIME, OUTPUT_CLOSED, Stop};
use crate::terminal;
use crate::waiting::{Detail, Waiting};
use tap::Tap;

#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// The file to write; `-` is standard output. Without --append or --force, an existing file is an error.
    #[arg(value_name = "FILE", index = 2)]
    file: PathBuf,

    /// Overwrite an existing file.
    #[arg(long, help_heading = "Recording", conflicts_with = "append")]
    force: bool,

    /// Continue an existing recording: replay plays the new part after the old one.
    #[arg(long, help_heading = "Recording")]
    append: bool,

    /// Stop after N events. Bytes that arrived together with the last one are recorded too.
    #[arg(
        long,
        value_name = "N",
        help_heading = "Recording",
        value_parser = clap::value_parser!(u64).range(1..),
    )]
    count: Option<u64>,

    /// Stop after this time.
    #[arg(
        long,
        value_name = "TIME",
        help_heading = "Recording",
        value_parser = duration::parse,
    )]
    duration: Option<Duration>,

    /// Only errors on standard error: no messages about the connection, no status line.
    #[arg(
        short = 's',
        long,
        visible_alias = "silent",
        help_heading = "Recording",
        conflicts_with = "verbose"
    )]
    quiet: bool,

    /// Also show the status and the headers of each response, and the whole body of a response that
    /// isn't a stream.
    #[arg(short, long, help_heading = "Recording")]
    verbose: bool,

    // After the options above, so that --help begins with them.
    #[command(flatten)]
    pub(crate) request: RequestArgs,

    #[command(flatten)]
    pub(crate) reconnect: ReconnectArgs,
}

pub(crate) fn run(args: &RecordArgs) -> Exit {
    if args.quiet {
        report::be_quiet();
    }
    match prepare(args) {
        Ok((client, recorder)) => crate::block_on(recorder.run(client)),
        Err(problem) => problem.tell(),
    }
}

/// The file is opened last, so that a mistake in the command line leaves it unchanged.
fn prepare(args: &RecordArgs) -> Result<(SseClient, Recorder<'_>), Problem> {
    let status = Status::new(args.quiet);
    let waiting = Waiting::new(Detail::new(args.verbose, status.as_ref()));
    let http = explain::whole_if_verbose(args.request.http()?, args.verbose);
    let http = waiting.watch(http);
    client(args, http.clone(), None)?;
    let writer = open(args)?;
    let client = client(args, http, Some(writer.clone()))?;
    let deadlines = [
        Deadline::new(args.duration, OUT_OF_TIME, Exit::Done),
        Deadline::new(args.request.max_time(), MAX_TIME, Exit::TimedOut),
    ];
    let recorder = Recorder {
        args,
        writer,
        deadline: Deadline::first(deadlines),
        status,
        waiting,
        stop: Stop::default(),
        events: 0,
        connections: 0,
        lost: None,
        not_repeated: false,
        last_event_id: None,
    };
    Ok((client, recorder))
}

fn client(args: &RecordArgs, http: Http, writer: Option<Writer>) -> Result<SseClient, Problem> {
    let (request, reconnect) = (&args.request, &args.reconnect);
    let builder = match writer {
        Some(writer) => client_builder(Tap { http, writer }, request, reconnect),
        None => client_builder(http, request, reconnect),
    };
    builder?
        .build()
        .map_err(|error| bad_setting("recorded", &args.request.url, &error))
}

fn open(args: &RecordArgs) -> Result<Writer, Problem> {
    let name = args.file.display();
    if args.file.as_os_str() == "-" {
        return Writer::begin(Unbuffered).map_err(|error| {
            Problem::because("the recording can't be written to standard output", &error)
        });
    }
    let mut options = OpenOptions::new();
    match (args.force, args.append) {
        (true, _) => options.write(true).create(true).truncate(true),
        (_, true) => options.read(true).append(true).create(true),
        _ => options.write(true).create_new(true),
    };
    let opened = options.open(&args.file).and_then(|mut file| {
        if args.append {
            if !is_recording(&file)? {
                return Ok(None);
            }
            end_line(&mut file)?;
        }
        Writer::begin(file).map(Some)
    });
    match opened {
        Ok(Some(writer)) => return Ok(writer),
        Ok(None) => {
            let problem = Problem::new(format!(
                "{name} isn't a recording, so --append can't continue it"
            ));
            return Err(problem.hint("name another file, or overwrite this one with --force"));
        }
        Err(error) => Err(error),
    }
    .map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists if !args.file.is_dir() => {
            Problem::new(format!("{name} exists"))
                .hint("--append continues it, --force overwrites it")
        }
        _ if args.file.is_dir() => Problem::new(format!("{name} is a directory")).hint(format!(
            "name a file in it: {}",
            args.file.join("feed.jsonl").display()
        )),
        _ => Problem::because(&format!("{name} can't be written"), &error),
    })
}

/// Whether the file begins like a recording, or is empty.
fn is_recording(file: &File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    // The first line is short.
    let begin = BufReader::new(file.take(10_000));
    match Reader::new(begin, "").next() {
        Ok(first) => Ok(first == Some(Entry::Begin)),
        Err(_) => Ok(false),
    }
}

/// A recorder that was killed may have left half a line, which must not become part of another one.
fn end_line(file: &mut File) -> io::Result<()> {
    if file.metadata()?.len() == 0 {
        return Ok(());
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    match last {
        [b'\n'] => Ok(()),
        _ => file.write_all(b"\n"),
    }
}

/// Standard output without line buffering, because lines can be long.
struct Unbuffered;

impl Write for Unbuffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Recorder<'a> {
    args: &'a RecordArgs,
    writer: Writer,
    deadline: Option<Deadline>,
    status: Option<Status>,
    waiting: Waiting,
    stop: Stop,
    events: u64,
    connections: u64,
    /// The end of the connection, which is reported once it is known whether there will be another.
    lost: Option<String>,
    /// The server has ended the stream, and the request isn't safe to resend.
    not_repeated: bool,
    /// The newest id, once the client has ended.
    last_event_id: Option<String>,
}

/// Why the recording has ended.
enum End {
    Requested(&'static str),
    /// It has been reported.
    Reported(Exit),
}

impl Recorder<'_> {
    async fn run(mut self, mut client: SseClient) -> Exit {
        if let Err(error) = self.watch(&client) {
            report::error("can't handle signals", Some(&error));
            return Exit::Failed;
        }
        let end = self.follow(&mut client).await;
        let id = client.last_event_id().map(str::to_owned);
        // Dropping the client records how the connection ended.
        drop(client);
        terminal::erase_status();
        if let Some(error) = self.writer.take_error() {
            if error.kind() == io::ErrorKind::BrokenPipe {
                return Exit::Done;
            }
            report::error("the recording can't be written", Some(&error));
            return Exit::Failed;
        }
        match end {
            End::Reported(exit) => exit,
            End::Requested(OUTPUT_CLOSED) => Exit::Done,
            End::Requested(by) => {
                let stopped = explain::stopped(by, self.events, id.as_deref(), false);
                report::info(&stopped);
                Exit::Done
            }
        }
    }

    fn asked(&self) -> explain::Asked<'_> {
        explain::Asked {
            connections: self.connections,
            last_event_id: self.last_event_id.as_deref(),
            verbose: self.args.verbose,
            ..explain::Asked::new(&self.args.request, &self.args.reconnect)
        }
    }

    fn watch(&mut self, client: &SseClient) -> io::Result<()> {
        let limits = Limits {
            exit: Exit::Done,
            deadline: None,
            commands: None,
        };
        self.stop = Stop::watch(client.handle(), limits)?;
        if self.args.file.as_os_str() == "-" && output_is_pipe() {
            self.stop.close_when_output_closes(client.handle())?;
        }
        Ok(())
    }

    async fn follow(&mut self, client: &mut SseClient) -> End {
        loop {
            if let Some(status) = &mut self.status {
                status.draw(client.silence(), self.waiting.has_no_response());
            }
            self.waiting.report(client.silence());
            if let Some(over) = self.deadline.filter(|over| Instant::now() >= over.at) {
                return self.out_of_time(over.by);
            }
            let due = self.status.as_ref().map(Status::due);
            let alarm = [due, self.deadline.map(|over| over.at)]
                .into_iter()
                .flatten()
                .min();
            let action = tokio::select! {
                biased;
                action = client.next_action() => action,
                // The stream continues.
                () = std::future::ready(()), if self.lost.is_some() => {
                    self.report_lost();
                    continue;
                }
                () = self.waiting.hangs() => continue,
                () = sleep_until(alarm) => continue,
            };
            match action {
                Some(Ok(action)) => {
                    self.take(action, client);
                    if self.writer.has_failed() {
                        return End::Reported(Exit::Failed);
                    }
                    if self.args.count == Some(self.events) {
                        return End::Requested("--count");
                    }
                }
                Some(Err(error)) => {
                    self.last_event_id = client.last_event_id().map(str::to_owned);
                    explain::gave_up(&error, &self.asked());
                    return End::Reported(Exit::from(&error));
                }
                None => {
                    self.last_event_id = client.last_event_id().map(str::to_owned);
                    return self.over();
                }
            }
        }
    }

    fn take(&mut self, action: Action, client: &SseClient) {
        self.waiting.take(&action);
        match action {
            Action::Event(_) => {
                self.events += 1;
                self.status.iter_mut().for_each(Status::event);
            }
            Action::Comment(_) => {}
            Action::Start(start) => {
                self.report_lost();
                self.connections += 1;
                self.status.iter_mut().for_each(Status::connected);
                let id = client.last_event_id();
                report::info(&explain::started(&start, self.connections, id));
                if let Some(text) = explain::withheld(&start) {
                    report::warning(&text);
                }
                if self.args.verbose {
                    let response = explain::response(&start);
                    response.iter().for_each(|line| report::info(line));
                }
            }
            Action::Fault(fault) => self.disconnected(Some(&fault), client),
            Action::End(end) => {
                self.not_repeated = end.not_repeated;
                self.disconnected(None, client);
                explain::warn_about_discarded(&end, &self.asked());
            }
            _ => {}
        }
    }

    fn disconnected(&mut self, fault: Option<&Fault>, client: &SseClient) {
        self.report_lost();
        let delay = client.next_retry_delay();
        if let Some(status) = &mut self.status {
            status.lost(delay);
        }
        if let Some(fault) = fault {
            explain::warn_about_retry(fault, self.connections);
        }
        self.lost = Some(explain::lost(fault, delay));
    }

    fn report_lost(&mut self) {
        if let Some(lost) = self.lost.take() {
            report::info(&lost);
        }
    }

    fn out_of_time(&self, by: &'static str) -> End {
        if by == MAX_TIME {
            explain::max_time(self.events);
            return End::Reported(Exit::TimedOut);
        }
        let Some(count) = self.args.count else {
            return End::Requested(OUT_OF_TIME);
        };
        let what = format!("--duration expired after {} of {count} events", self.events);
        report::error(&what, None);
        End::Reported(Exit::TimedOut)
    }

    fn over(&self) -> End {
        match (self.stop.asked(), self.args.count) {
            (Some(by), _) => End::Requested(by),
            (None, None) if self.not_repeated => {
                End::Reported(explain::not_repeated(self.events, &self.asked()))
            }
            (None, None) => End::Requested("the end of the stream"),
            (None, Some(count)) => {
                let (seen, early) = (self.events, self.not_repeated);
                End::Reported(explain::ended_early(seen, count, early, &self.asked()))
            }
        }
    }
}
