//! Writes events to standard output.
//!
//! | file | subject |
//! |---|---|
//! | `pretty.rs` | for people |
//! | `ndjson.rs` | for programs |
//! | `json.rs` | validates and formats JSON |
//! | `file.rs` | standard output, or the file of `--output` |

mod file;
mod json;
mod ndjson;
mod pretty;

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use everstream::{Encoder, Event, Headers, Start};

pub(crate) use file::Output;
use file::is_stdout;
pub(crate) use json::harmless;
#[cfg(feature = "jq")]
pub(crate) use json::is_json;
use pretty::Style;

use crate::report::Problem;
use crate::terminal::{self, colors, width};
use crate::visible::visible_lines;

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// The output format. Default: pretty on a terminal, json otherwise.
    #[arg(long, value_enum, value_name = "FORM")]
    format: Option<Form>,

    /// Write to this file instead of standard output. An existing file is overwritten when the
    /// first event arrives; with --cursor, events are appended.
    #[arg(short, long, value_name = "FILE", conflicts_with = "exec")]
    output: Option<PathBuf>,

    /// Like --format data, without line breaks between events or results of --jq, for text that
    /// arrives in pieces. With --jq: -j, as in jq.
    #[arg(long = "join-output", visible_alias = "join", conflicts_with_all = ["format", "exec"])]
    join: bool,

    /// The same, with --jq.
    #[arg(short = 'j', hide = true, conflicts_with_all = ["format", "exec"])]
    pub(crate) jq_join: bool,

    /// Also write the status and the headers of each response, before its events.
    #[arg(short, long, alias = "show-headers", conflicts_with_all = ["join", "jq_join", "exec"])]
    pub(crate) include: bool,

    /// With --format json: nest data that is JSON. Other data stays a string.
    #[arg(long)]
    json_data: bool,

    /// With --format pretty on a terminal: don't cut long lines or long data.
    #[arg(long)]
    full: bool,

    /// Also write comments (not with --format data).
    #[arg(long)]
    comments: bool,

    /// Only errors on standard error: no messages about the connection, no status line.
    #[arg(
        short = 's',
        long,
        visible_alias = "silent",
        conflicts_with = "verbose"
    )]
    pub(crate) quiet: bool,

    /// No status line.
    #[arg(long)]
    no_progress_meter: bool,

    /// Also show the status and the headers of each response, and the whole body of a response that
    /// isn't a stream.
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

impl OutputArgs {
    /// Whether the status line is disabled.
    pub(crate) fn has_no_status(&self) -> bool {
        self.quiet || self.no_progress_meter || self.leaves_lines_open()
    }

    /// Whether the last line of the terminal may be incomplete, so that nothing may be drawn over
    /// it.
    fn leaves_lines_open(&self) -> bool {
        self.joins() && self.is_stdout() && io::stdout().is_terminal()
    }

    /// Whether events go to standard output.
    pub(crate) fn is_stdout(&self) -> bool {
        is_stdout(self.output.as_deref())
    }

    fn joins(&self) -> bool {
        self.join || self.jq_join
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A block per event, for people.
    Pretty,
    /// An object per line: event, data, id, last_event_id, time.
    Json,
    /// The data and a line break.
    Data,
    /// An event stream.
    Raw,
}

/// Writes events, each of them flushed.
pub(crate) struct Printer {
    out: Output,
    form: Form,
    terminal: bool,
    colors: bool,
    full: bool,
    json_data: bool,
    comments: bool,
    /// No line breaks.
    join: bool,
    /// Reused for every event, so that each is a single write.
    buffer: String,
}

impl Printer {
    /// With `append`, a file keeps the events of earlier runs.
    pub(crate) fn new(args: &OutputArgs, append: bool) -> Result<Printer, Problem> {
        let out = Output::open(args.output.as_deref(), append)?;
        let terminal = args.is_stdout() && io::stdout().is_terminal();
        let default = if terminal { Form::Pretty } else { Form::Json };
        Ok(Printer {
            form: match args.joins() {
                true => Form::Data,
                false => args.format.unwrap_or(default),
            },
            out,
            terminal,
            colors: colors(terminal),
            full: args.full,
            json_data: args.json_data,
            comments: args.comments,
            join: args.joins(),
            buffer: String::new(),
        })
    }

    /// The status and headers of a response, for `--include`.
    pub(crate) fn head(&mut self, start: &Start, time: SystemTime) -> io::Result<()> {
        let Some(status) = start.status else {
            // A saved body has neither.
            return Ok(());
        };
        let headers: Vec<(&str, &str)> = start.headers.iter().flat_map(Headers::iter).collect();
        if self.form == Form::Json {
            ndjson::response(&mut self.buffer, status, &headers, time);
            return self.flush();
        }
        let mut head = format!("HTTP {status}\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\n");
        }
        text(&mut self.buffer, &head, self.terminal, false);
        self.flush()
    }

    pub(crate) fn event(&mut self, event: &Event, time: SystemTime) -> io::Result<()> {
        let style = self.style();
        let out = &mut self.buffer;
        match self.form {
            Form::Pretty => pretty::event(out, event, time, style),
            Form::Json => ndjson::event(out, event, time, self.json_data),
            Form::Data => text(out, event.data(), self.terminal, self.join),
            Form::Raw => {
                let mut encoder = Encoder::new();
                // The fields of a parsed event contain no line break that can't be encoded.
                encoder.event(event).map_err(io::Error::other)?;
                raw(out, encoder.as_str(), self.terminal);
            }
        }
        self.flush()
    }

    pub(crate) fn comment(&mut self, text: &str, time: SystemTime) -> io::Result<()> {
        if !self.comments {
            return Ok(());
        }
        // Most have a space after the colon, as in a field.
        let bare = text.strip_prefix(' ').unwrap_or(text);
        let style = self.style();
        let out = &mut self.buffer;
        match self.form {
            Form::Pretty => pretty::comment(out, bare, style),
            Form::Json => ndjson::comment(out, bare, time),
            Form::Data => return Ok(()),
            // The encoder would add a space. A parsed comment is one line.
            Form::Raw => raw(out, &format!(":{text}\n"), self.terminal),
        }
        self.flush()
    }

    /// A result of `--jq`, as JSON; with `--format data`, a string is written without quotes.
    pub(crate) fn result(&mut self, json: &str) -> io::Result<()> {
        // Joined, it would add the word "null".
        if self.join && json == "null" {
            return Ok(());
        }
        let parsed = match self.form {
            Form::Data => serde_json::from_str::<String>(json).ok(),
            _ => None,
        };
        let result = parsed.map_or_else(|| harmless(json), Cow::Owned);
        text(&mut self.buffer, &result, self.terminal, self.join);
        self.flush()
    }

    /// Nothing more is written.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if terminal::take_open_line() {
            self.buffer.push('\n');
        }
        self.flush()
    }

    fn style(&self) -> Style {
        Style {
            colors: self.colors,
            // Read each time, because the window may have been resized.
            cut_at: match self.terminal && !self.full {
                true => width(io::stdout()),
                false => None,
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        /// The capacity that the buffer keeps after a larger event.
        const KEPT: usize = 64 * 1024;
        if self.buffer.is_empty() {
            return Ok(());
        }
        if self.terminal {
            terminal::erase_status();
            terminal::set_line_open(!self.buffer.ends_with('\n'));
        }
        let written = self
            .out
            .write_all(self.buffer.as_bytes())
            .and_then(|()| self.out.flush());
        self.buffer.clear();
        self.buffer.shrink_to(KEPT);
        written
    }
}

fn text(out: &mut String, text: &str, terminal: bool, join: bool) {
    raw(out, text, terminal);
    if !join {
        out.push('\n');
    }
}

/// Unchanged, unless it is for a terminal.
fn raw(out: &mut String, text: &str, terminal: bool) {
    if terminal {
        out.push_str(&visible_lines(text));
    } else {
        out.push_str(text);
    }
}

/// The part of the text that fits into this number of columns.
pub(crate) fn beginning(text: &str, columns: usize) -> &str {
    pretty::beginning(text, columns)
}

/// In UTC, with milliseconds.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    // humantime panics before 1970 and after 9999, which a wrong clock may show.
    let end = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(253_402_300_799);
    let time = time.clamp(SystemTime::UNIX_EPOCH, end);
    humantime::format_rfc3339_millis(time).to_string()
}

/// Whether another program reads the output; it may write to the same terminal.
#[cfg(unix)]
pub(crate) fn output_is_pipe() -> bool {
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileTypeExt;

    let kind = io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .and_then(|fd| std::fs::File::from(fd).metadata())
        .map(|about| about.file_type());
    kind.is_ok_and(|kind| kind.is_fifo() || kind.is_socket())
}

/// Whether another program may read the output.
#[cfg(not(unix))]
pub(crate) fn output_is_pipe() -> bool {
    !io::stdout().is_terminal()
}
