//! `everstream URL`: prints the events of a stream as they come.

use std::io;
use std::time::Duration;

use everstream::error_strategy::{TRANSIENT_STATUSES, reconnect};
use everstream::{Action, Error, Fault, Http, RedactedUrl, SseClient, Start};

use crate::args::FollowArgs;
use crate::exit::Exit;
use crate::print::Printer;
use crate::report;
use crate::stop::Stop;

pub(crate) fn run(args: &FollowArgs) -> Exit {
    match client(args) {
        Ok(client) => crate::block_on(follow(client)),
        Err(exit) => exit,
    }
}

/// The client, or why the command line can't be used.
fn client(args: &FollowArgs) -> Result<SseClient, Exit> {
    let mut http = Http::new(&args.url);
    for (index, header) in args.headers.iter().enumerate() {
        let Some((name, value)) = header.split_once(':') else {
            report::error(&format!("header {} has no colon", index + 1), None);
            report::hint("a header looks like this: -H 'Authorization: Bearer TOKEN'");
            return Err(Exit::Usage);
        };
        http = http.sensitive_header(name.trim(), value.trim());
    }
    let mut builder =
        SseClient::builder(http).error_strategy(reconnect().or_on_status(TRANSIENT_STATUSES));
    if let Some(id) = &args.last_event_id {
        if id.contains(|c: char| c.is_ascii_control()) {
            report::error(
                "the last event id holds a control character, which can't be sent",
                None,
            );
            return Err(Exit::Usage);
        }
        builder = builder.last_event_id(id);
    }
    builder.build().map_err(|error| {
        report::error("this can't be followed", Some(&error));
        if matches!(error, Error::Config { setting: "url", .. }) && !args.url.contains("://") {
            let guess = format!("http://{}", args.url);
            report::hint(&format!(
                "a URL begins with http:// or https://, as in {}",
                RedactedUrl(&guess)
            ));
        }
        Exit::from(&error)
    })
}

async fn follow(mut client: SseClient) -> Exit {
    let stop = match Stop::at_signals(client.handle(), Exit::Done) {
        Ok(stop) => stop,
        Err(error) => {
            report::error("signals can't be watched", Some(&error));
            return Exit::Failed;
        }
    };
    let mut printer = Printer::to_stdout();
    let mut events: u64 = 0;
    let mut connections: u64 = 0;
    loop {
        match client.next_action().await {
            Some(Ok(Action::Event(event))) => {
                events += 1;
                if let Err(error) = printer.event(&event) {
                    return output_failed(&error);
                }
            }
            Some(Ok(Action::Start(start))) => {
                connections += 1;
                report::news(&started(&start, connections, client.last_event_id()));
            }
            Some(Ok(Action::Fault(fault))) => {
                report::news(&lost(fault.as_ref(), client.next_retry_delay()));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                gave_up(&error);
                return Exit::from(&error);
            }
            None => {
                let by = stop.asked().unwrap_or("the end of the stream");
                report::news(&stopped(by, events, client.last_event_id()));
                return Exit::Done;
            }
        }
    }
}

fn output_failed(error: &io::Error) -> Exit {
    if error.kind() == io::ErrorKind::BrokenPipe {
        // Whoever reads has enough, as in `| head -1`.
        return Exit::Done;
    }
    report::error("the output can't be written", Some(error));
    Exit::Failed
}

fn started(start: &Start, connections: u64, last_event_id: Option<&str>) -> String {
    let mut text = String::from(if connections > 1 {
        "connected again"
    } else {
        "connected"
    });
    if let Some(url) = &start.url {
        text += &format!(" to {}", RedactedUrl(url));
    }
    if start.attempt > 1 {
        text += &format!(" at attempt {}", start.attempt);
    }
    if let Some(id) = last_event_id {
        text += &format!(", resuming after id {id}");
    }
    text
}

/// Why there is no connection now, and when there will be another attempt.
pub(crate) fn lost(fault: Option<&Fault>, delay: Duration) -> String {
    let why = match fault {
        Some(fault) => report::chain(fault),
        None => "the server ended the connection".to_owned(),
    };
    format!("{why}; retrying in {}", seconds(delay))
}

/// A time as people say it.
pub(crate) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 10.0 {
        format!("{seconds:.2} s")
    } else {
        format!("{seconds:.0} s")
    }
}

fn stopped(by: &str, events: u64, last_event_id: Option<&str>) -> String {
    let plural = if events == 1 { "" } else { "s" };
    let mut text = format!("stopped by {by} after {events} event{plural}");
    if let Some(id) = last_event_id {
        text += &format!("; the last id is {id} (to go on from there: --last-event-id)");
    }
    text
}

/// The error, what the server said, and what to try next.
fn gave_up(error: &Error) {
    if error.status() == Some(204) {
        report::news("the server ended the stream for good (status 204)");
        return;
    }
    report::error("gave up", Some(error));
    let Some(fault) = error.fault() else { return };
    if let Some(said) = fault.response().and_then(|response| said(&response.body)) {
        report::raw(&format!(
            "everstream: the server said: {}",
            crate::print::visible(&said)
        ));
    }
    if let Some(hint) = hint(fault) {
        report::hint(hint);
    }
}

/// The first line of an error's body.
fn said(body: &[u8]) -> Option<String> {
    const SHOWN: usize = 200;
    let text = String::from_utf8_lossy(body);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    })
}

fn hint(fault: &Fault) -> Option<&'static str> {
    match fault {
        Fault::Status(response) => match response.status {
            401 | 403 => Some("send credentials: -H 'Authorization: Bearer TOKEN'"),
            404 | 410 => Some("check the path of the URL: there is no stream at this one"),
            405 => Some("the stream may want another method than GET"),
            407 => Some("the proxy wants credentials: check http_proxy and https_proxy"),
            _ => None,
        },
        Fault::ContentType(_) => {
            Some("this URL serves something else; look at it with curl -i, and check its path")
        }
        Fault::ContentEncoding(_) => Some("ask for plain bytes: -H 'Accept-Encoding: identity'"),
        Fault::Redirect(..) => Some("follow the stream at the URL where it is now"),
        _ => None,
    }
}
