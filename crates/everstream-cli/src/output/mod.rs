//! What is written to standard output.
//!
//! | file | subject |
//! |---|---|
//! | `pretty.rs` | for people |
//! | `ndjson.rs` | for programs |
//! | `json.rs` | data that is JSON |

mod json;
mod ndjson;
mod pretty;

use std::borrow::Cow;
use std::io::{self, IsTerminal, Stdout, Write};
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use everstream::{Encoder, Event};

pub(crate) use json::{harmless, is_json};
use pretty::Style;

use crate::terminal::{self, colours, width};
use crate::visible::visible_lines;

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// How events are written. Default: pretty on a terminal, json otherwise.
    #[arg(short = 'o', long, value_enum, value_name = "FORM")]
    output: Option<Form>,

    /// As data, without line ends between events or results of --jq: text that comes in pieces is
    /// put together.
    #[arg(short, long = "join-output", visible_alias = "join", conflicts_with_all = ["output", "exec"])]
    join: bool,

    /// With json: data that is JSON is nested as such; other data stays a string.
    #[arg(long)]
    json_data: bool,

    /// With pretty on a terminal: cut neither long lines nor long data.
    #[arg(long)]
    full: bool,

    /// Write comments too (not with data).
    #[arg(long)]
    comments: bool,

    /// Only errors on standard error: no news of the connection, no status line.
    #[arg(
        short,
        short_alias = 's',
        long,
        alias = "silent",
        conflicts_with = "verbose"
    )]
    pub(crate) quiet: bool,

    /// Also what the server answered: its status and headers, and all of a response that isn't a
    /// stream.
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Nothing is kept back anyway; for hands that are used to curl.
    #[arg(short = 'N', long, hide = true)]
    no_buffer: bool,
}

impl OutputArgs {
    /// Whether nothing may be drawn over the last line of the terminal.
    pub(crate) fn leaves_lines_open(&self) -> bool {
        self.join && io::stdout().is_terminal()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A block per event, for people.
    Pretty,
    /// An object per line: event, data, id, last_event_id, time.
    Json,
    /// The data and a line end.
    Data,
    /// An event stream again.
    Raw,
}

/// Writes events, each of them flushed.
pub(crate) struct Printer {
    out: Stdout,
    form: Form,
    terminal: bool,
    colours: bool,
    full: bool,
    json_data: bool,
    comments: bool,
    /// No line ends.
    join: bool,
    /// Used again for every event, so that each is a single write.
    buffer: String,
}

impl Printer {
    pub(crate) fn new(args: &OutputArgs) -> Printer {
        let out = io::stdout();
        let terminal = out.is_terminal();
        let default = if terminal { Form::Pretty } else { Form::Json };
        Printer {
            form: match args.join {
                true => Form::Data,
                false => args.output.unwrap_or(default),
            },
            out,
            terminal,
            colours: colours(terminal),
            full: args.full,
            json_data: args.json_data,
            comments: args.comments,
            join: args.join,
            buffer: String::new(),
        }
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
                // A parsed event has no line end where one can't be written.
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
        // Most have a space there, which belongs to the colon as in a field.
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

    /// A result of `--jq`: JSON, except that a text stands for itself with the form `data`.
    pub(crate) fn result(&mut self, json: &str) -> io::Result<()> {
        // Joined to a text it would be the word.
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
            colours: self.colours,
            // Asked each time: a window may have been made wider.
            cut_at: match self.terminal && !self.full {
                true => width(io::stdout()),
                false => None,
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        /// What the buffer keeps after an event that was larger.
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

/// As it is, unless a terminal would obey it.
fn raw(out: &mut String, text: &str, terminal: bool) {
    if terminal {
        out.push_str(&visible_lines(text));
    } else {
        out.push_str(text);
    }
}

/// What of the text fits into so many columns.
pub(crate) fn beginning(text: &str, columns: usize) -> &str {
    pretty::beginning(text, columns)
}

/// In UTC, with milliseconds.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    // humantime panics before 1970 and after 9999, which a wrong clock may say.
    let end = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(253_402_300_799);
    let time = time.clamp(SystemTime::UNIX_EPOCH, end);
    humantime::format_rfc3339_millis(time).to_string()
}

/// Whether another program reads the output. What it makes of that may go to the same terminal.
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
