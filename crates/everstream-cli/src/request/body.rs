//! The body, built from all its options in their order.

use std::cell::OnceCell;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::input::{content, read};
use crate::report::Problem;

const HEADING: &str = super::HEADING;
const FORM: &str = "application/x-www-form-urlencoded";

#[derive(Debug, Default)]
pub(crate) struct BodyArgs {
    parts: Vec<Part>,
    /// The body goes into the query.
    get: bool,
    url_query: Vec<String>,
    /// Built only once, because standard input can be read only once.
    built: OnceCell<BuiltBody>,
}

#[derive(Debug)]
struct Part {
    kind: Kind,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Data,
    Raw,
    Binary,
    UrlEncode,
    Json,
}

/// The result of the options.
#[derive(Clone, Debug, Default)]
pub(super) struct BuiltBody {
    /// The content type and the bytes.
    pub(super) body: Option<(&'static str, Vec<u8>)>,
    /// The query to add to the URL.
    pub(super) query: String,
}

impl BuiltBody {
    /// The length of the body in bytes.
    pub(super) fn length(&self) -> usize {
        self.body.as_ref().map_or(0, |(_, body)| body.len())
    }
}

const KINDS: [(Kind, &str, &str); 5] = [
    (
        Kind::Data,
        "data",
        "Send this body as application/x-www-form-urlencoded. @FILE: the content of a file, without \
         line breaks; @-: standard input (repeatable; joined with &, along with those of the next three options)",
    ),
    (
        Kind::Raw,
        "data-raw",
        "Like --data, but @ has no special meaning",
    ),
    (
        Kind::Binary,
        "data-binary",
        "Like --data, but a file is sent unchanged",
    ),
    (
        Kind::UrlEncode,
        "data-urlencode",
        "Like --data, URL-encoded: DATA, NAME=DATA, @FILE or NAME@FILE",
    ),
    (
        Kind::Json,
        "json",
        "Send this body as application/json; @FILE, @- (repeatable; concatenated)",
    ),
];

impl Args for BodyArgs {
    fn augment_args(command: Command) -> Command {
        let argument = |(_, name, help): (Kind, &'static str, &'static str)| {
            let argument = Arg::new(name)
                .long(name)
                .value_name("DATA")
                .action(ArgAction::Append)
                .allow_hyphen_values(true)
                .help(help)
                .help_heading(HEADING);
            match name {
                "data" => argument.short('d').alias("data-ascii"),
                "json" => argument.conflicts_with_all(KINDS[..4].iter().map(|kind| kind.1)),
                _ => argument,
            }
        };
        let get = Arg::new("get")
            .short('G')
            .long("get")
            .action(ArgAction::SetTrue)
            .help("Send the body in the URL's query, with GET")
            .help_heading(HEADING);
        let query = Arg::new("url_query")
            .long("url-query")
            .value_name("DATA")
            .action(ArgAction::Append)
            .help("Add this to the URL's query, in the form of --data-urlencode; +DATA is added unchanged (repeatable)")
            .help_heading(HEADING);
        command.args(KINDS.map(argument)).args([get, query])
    }

    fn augment_args_for_update(command: Command) -> Command {
        BodyArgs::augment_args(command)
    }
}

impl FromArgMatches for BodyArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut parts = Vec::new();
        for (kind, name, _) in KINDS {
            let places = matches.indices_of(name).into_iter().flatten();
            let texts = matches.get_many::<String>(name).into_iter().flatten();
            parts.extend(places.zip(texts).map(|(place, text)| {
                let text = text.clone();
                (place, Part { kind, text })
            }));
        }
        parts.sort_by_key(|(place, _)| *place);
        let query = matches.get_many::<String>("url_query");
        Ok(BodyArgs {
            parts: parts.into_iter().map(|(_, part)| part).collect(),
            get: matches.get_flag("get"),
            url_query: query.into_iter().flatten().cloned().collect(),
            built: OnceCell::new(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = BodyArgs::from_arg_matches(matches)?;
        Ok(())
    }
}

impl BodyArgs {
    /// Whether a body is sent.
    pub(super) fn is_sent(&self) -> bool {
        !self.parts.is_empty() && !self.get
    }

    pub(super) fn built(&self) -> Result<&BuiltBody, Problem> {
        if let Some(built) = self.built.get() {
            return Ok(built);
        }
        let built = self.make()?;
        Ok(self.built.get_or_init(|| built))
    }

    fn make(&self) -> Result<BuiltBody, Problem> {
        let mut queries = Vec::new();
        for text in &self.url_query {
            queries.push(match text.strip_prefix('+') {
                Some(text) => text.to_owned(),
                None => url_encode(text)?,
            });
        }
        let body = self.join()?;
        if self.is_sent() {
            let json = self.parts.iter().any(|part| part.kind == Kind::Json);
            let kind = if json { "application/json" } else { FORM };
            return Ok(BuiltBody {
                body: Some((kind, body)),
                query: queries.join("&"),
            });
        }
        if !body.is_empty() {
            let body = String::from_utf8(body)
                .map_err(|_| Problem::new("what -G puts into the URL isn't UTF-8"))?;
            queries.insert(0, body);
        }
        Ok(BuiltBody {
            body: None,
            query: queries.join("&"),
        })
    }

    fn join(&self) -> Result<Vec<u8>, Problem> {
        let mut body = Vec::new();
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 && part.kind != Kind::Json {
                body.push(b'&');
            }
            body.extend(part.bytes()?);
        }
        Ok(body)
    }
}

impl Part {
    fn bytes(&self) -> Result<Vec<u8>, Problem> {
        let text = &self.text;
        match self.kind {
            Kind::Raw => Ok(text.clone().into()),
            Kind::Binary | Kind::Json => content(text),
            Kind::UrlEncode => url_encode(text).map(String::into_bytes),
            Kind::Data => {
                let mut part = content(text)?;
                if text.starts_with('@') {
                    // Like curl with files of --data.
                    part.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
                }
                Ok(part)
            }
        }
    }
}

/// `DATA`, `=DATA`, `NAME=DATA`, `@FILE`, `NAME@FILE`: all but the name is encoded.
fn url_encode(text: &str) -> Result<String, Problem> {
    let (name, data) = match text.find(['=', '@']) {
        None => ("", text.as_bytes().to_vec()),
        Some(at) => {
            let (name, rest) = text.split_at(at);
            let data = match rest.strip_prefix('@') {
                Some(file) => read(file)?,
                None => rest.as_bytes()[1..].to_vec(),
            };
            (name, data)
        }
    };
    let mut encoded = String::new();
    if !name.is_empty() {
        encoded.push_str(name);
        encoded.push('=');
    }
    for byte in data {
        match byte {
            b' ' => encoded.push('+'),
            b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(encoded)
}
