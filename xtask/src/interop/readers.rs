//! Clients that are not ours, at `everstream serve` and `replay`: Chromium's EventSource, npm's
//! `eventsource`, and Python's `httpx-sse`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use super::follow::{Event, log_lines};
use super::programs::{self, CHROMIUM, NODE, NPM, source, wait};
use super::report::Report;
use super::server::Served;
use super::{Context, PATIENCE, scenario};
use crate::{apt, python, sh};

/// A page's host that Chromium looks for on this machine, and that is not this machine by its name.
const FOREIGN: &str = "app.example";

pub(super) fn run(context: &Context, reports: &mut Vec<Report>) -> sh::Outcome {
    let folder = context.folder.join("readers");
    fs::create_dir_all(&folder)?;
    let source = source("readers");
    apt::install(&[CHROMIUM, NODE, NPM], &folder.join("apt.log"))?;
    let python = python::venv(&folder, &source.join("requirements.txt"))?;
    let modules = programs::node_modules(&folder, &source)?;
    let chromium = |host| -> sh::Outcome<Reader> {
        Ok(Reader {
            name: "Chromium",
            command: vec![CHROMIUM.0.into()],
            page: Some((Page::serve(&source.join("page.html"))?, host)),
        })
    };
    let readers = [
        Reader {
            name: "httpx-sse",
            command: vec![python, source.join("read.py")],
            page: None,
        },
        Reader {
            name: "npm's eventsource",
            command: vec![NODE.0.into(), source.join("read.mjs"), modules],
            page: None,
        },
        chromium("127.0.0.1")?,
    ];
    for reader in &readers {
        let name = reader.name;
        let title = format!("{name} reads `replay` over drops within events");
        scenario(reports, &title, |report| drops(context, reader, report));
        let title = format!("{name} reads `serve`, which is killed and started again");
        scenario(reports, &title, |report| restart(context, reader, report));
    }
    let foreign = chromium(FOREIGN)?;
    scenario(
        reports,
        "Chromium: a page of another origin reads `serve` only if that is allowed",
        |report| origins(context, &foreign, report),
    );
    Ok(())
}

/// The stream ends with status 204.
fn drops(context: &Context, reader: &Reader, report: &mut Report) -> sh::Outcome {
    const EVENTS: usize = 10;
    let mut recording = "{\"format\":\"everstream-recording\",\"version\":1}\n\
         {\"time\":0,\"connected\":{}}\n{\"time\":0,\"text\":\"retry: 100\\n\\n\"}\n"
        .to_owned();
    for id in 1..=EVENTS {
        recording += &format!(
            "{{\"time\":0,\"text\":\"id: {id}\\ndata: {}\\n\\n\"}}\n",
            data(id)
        );
    }
    let file = context.folder.join("readers").join("drops.rec");
    fs::write(&file, recording)?;
    let file = file.display().to_string();
    let options = ["replay", &file, "--drop-every", "3", "--drop-inside"];
    let server = Served::start(context, "readers-replay", &options)?;
    let mut reading = reader.start(context, &server.url(), 0)?;
    let seen = reading.finish()?;
    let expected: Vec<Event> = (1..=EVENTS)
        .map(|id| Event::new("message", &id.to_string(), &data(id)))
        .collect();
    report.compare(&expected, &seen);
    report.fact(format!("{} connections", server.clients()));
    report.require(server.clients() > 3, "no connection was dropped");
    Ok(())
}

/// A client with an id of the first run gets all lines of the second.
fn restart(context: &Context, reader: &Reader, report: &mut Report) -> sh::Outcome {
    let publish = |server: &mut Served, from: usize, count: usize| -> sh::Outcome {
        server.line(r#"{"retry": 100}"#)?;
        (from..from + count)
            .try_for_each(|number| server.line(&format!("{{\"data\": {:?}}}", data(number))))
    };
    let mut server = Served::start(context, "readers-serve-1", &["serve", "--json"])?;
    let port = server.port.to_string();
    let mut reading = reader.start(context, &server.url(), 15)?;
    server.wait_for_clients(1)?;
    publish(&mut server, 1, 5)?;
    reading.wait_for(5)?;
    drop(server);
    let options = ["serve", "--json", "--listen", &port];
    let mut server = Served::start(context, "readers-serve-2", &options)?;
    publish(&mut server, 6, 10)?;
    let seen = reading.finish()?;
    let got: Vec<String> = seen.iter().map(|event| event.data.clone()).collect();
    let expected: Vec<String> = (1..=15).map(data).collect();
    report.fact(format!("{} of 15 events, over two runs", got.len()));
    report.require(got == expected, format!("received {got:?}"));
    Ok(())
}

fn origins(context: &Context, reader: &Reader, report: &mut Report) -> sh::Outcome {
    let Some((page, _)) = &reader.page else {
        return Ok(());
    };
    let origin = format!("http://{FOREIGN}:{}", page.port);
    for (options, expected) in [(vec![], 0), (vec!["--allow-origin", &origin], 1)] {
        let options = [vec!["serve"], options].concat();
        let mut server = Served::start(context, "readers-origin", &options)?;
        server.line("one")?;
        let seen = reader.start(context, &server.url(), 1)?.finish()?;
        report.fact(format!("{options:?}: {} events", seen.len()));
        report.require(
            seen.len() == expected,
            "the page read what it may not, or not",
        );
    }
    Ok(())
}

fn data(number: usize) -> String {
    format!("event {number} é")
}

/// A program that reads a stream.
struct Reader {
    name: &'static str,
    /// With its first arguments.
    command: Vec<PathBuf>,
    /// A browser reads in this page, on a host that it takes for the page's.
    page: Option<(Page, &'static str)>,
}

impl Reader {
    /// Reads this many events, or (0) as long as the server has some.
    fn start(&self, context: &Context, url: &str, count: usize) -> sh::Outcome<Reading<'_>> {
        let folder = context.folder.join("readers");
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]);
        match &self.page {
            None => command.args([url, &count.to_string()]),
            Some((page, host)) => {
                let profile = folder.join("profile");
                sh::empty_folder(&profile)?;
                page.forget();
                command
                    .args(["--headless", "--no-sandbox", "--disable-gpu"])
                    .arg("--no-first-run")
                    .arg(format!("--host-resolver-rules=MAP {FOREIGN} 127.0.0.1"))
                    .arg(format!("--user-data-dir={}", profile.display()))
                    .arg(format!("http://{host}:{}/#{url}%7C{count}", page.port))
            }
        };
        programs::without_proxies(&mut command);
        let log = folder.join(format!("{}.log", self.name.replace(' ', "-")));
        let out = log.with_extension("out");
        let files = [File::create(&out)?, File::create(&log)?];
        let [stdout, stderr] = files.map(Into::into);
        Ok(Reading {
            process: sh::Guard::start_with(self.name, &command, stdout, stderr)?,
            out,
            page: self.page.as_ref().map(|(page, _)| page),
        })
    }
}

/// A client that reads.
struct Reading<'a> {
    process: sh::Guard,
    out: PathBuf,
    page: Option<&'a Page>,
}

impl Reading<'_> {
    /// Waits until this many events were read. (A page reports only the end: its server has sent
    /// them by then, and they are compared.)
    fn wait_for(&mut self, count: usize) -> sh::Outcome {
        if self.page.is_some() {
            thread::sleep(Duration::from_secs(1));
            return Ok(());
        }
        let what = format!("{count} events in {}", self.out.display());
        wait(&what, || Ok(log_lines(&self.out).len() >= count))
    }

    /// All that was read, in the end.
    fn finish(&mut self) -> sh::Outcome<Vec<Event>> {
        let text = match self.page {
            Some(page) => page.done.recv_timeout(PATIENCE)?,
            None => {
                self.process.wait(PATIENCE)?;
                log_lines(&self.out).join("\n")
            }
        };
        text.lines().map(event).collect()
    }
}

fn event(line: &str) -> sh::Outcome<Event> {
    let value: serde_json::Value = serde_json::from_str(line)?;
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    Ok(Event::new(text("event"), text("id"), text("data")))
}

/// Serves a page, and takes what it read.
struct Page {
    port: u16,
    done: Receiver<String>,
}

impl Page {
    fn serve(file: &Path) -> sh::Outcome<Page> {
        let page = fs::read_to_string(file)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let (sender, done) = mpsc::channel();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (page, sender) = (page.clone(), sender.clone());
                // A browser opens connections that it may never use.
                thread::spawn(move || {
                    if let Ok(Some(read)) = answer(&socket, &page) {
                        _ = sender.send(read);
                    }
                });
            }
        });
        Ok(Page { port, done })
    }

    /// What an earlier browser read.
    fn forget(&self) {
        while self.done.try_recv().is_ok() {}
    }
}

fn answer(mut socket: &TcpStream, page: &str) -> std::io::Result<Option<String>> {
    let mut reader = BufReader::new(socket);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let begin = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
        if let Some(value) = head[begin..].to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let page = if head.starts_with("GET / ") { page } else { "" };
    write!(
        socket,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{page}",
        page.len()
    )?;
    let is_done = head.starts_with("POST /done ");
    Ok(is_done.then(|| String::from_utf8_lossy(&body).into_owned()))
}
