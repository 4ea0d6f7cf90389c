//! A Starlette application with sse-starlette, under uvicorn.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use super::follow::{Event, Follower};
use super::programs::{self, free_port, source};
use super::report::Report;
use super::{Context, scenario};
use crate::{python, sh};

/// What `/busy` asks for in its Retry-After.
const RETRY_AFTER: f64 = 2.0;

pub(super) fn run(context: &Context, reports: &mut Vec<Report>) -> sh::Outcome {
    let requirements = source("starlette").join("requirements.txt");
    let python = python::venv(&context.folder, &requirements)?;
    let version = programs::python_versions(&python, &["sse-starlette", "uvicorn"])?;
    let mut server = Server {
        python,
        folder: context.folder.clone(),
        port: free_port()?,
        process: None,
    };
    server.start()?;

    for ending in ["clean", "torn"] {
        let how = match ending {
            "torn" => "tears the connection",
            _ => "hangs up",
        };
        scenario(
            reports,
            &format!("{version}: {how} after every 4 events, then pings"),
            |report| drops(context, &mut server, report, ending),
        );
    }
    scenario(
        reports,
        &format!("{version}: 503 with Retry-After, twice"),
        |report| busy(context, &mut server, report),
    );
    scenario(
        reports,
        &format!("{version}: killed in the middle of the stream, and restarted"),
        |report| killed(context, &mut server, report),
    );
    Ok(())
}

fn drops(context: &Context, server: &mut Server, report: &mut Report, ending: &str) -> sh::Outcome {
    let before = server.asked()?.len();
    let url = server.url(&format!("/feed?count=20&every=4&ending={ending}"));
    let mut follower = Follower::start(context, &format!("starlette-{ending}"), &[&url])?;
    follower.wait_for(20)?;
    // Two pings or more; whatever the command makes of them shows in the comparison.
    thread::sleep(Duration::from_millis(2500));
    report.compare(&expected(20), &follower.finish()?);

    let asked = server.asked()?;
    let ids: Vec<&str> = asked.iter().skip(before).map(Request::id).collect();
    report.fact(format!("Last-Event-ID of each connection: {ids:?}"));
    report.require(
        ids == ["", "4", "8", "12", "16"],
        "a connection did not say which id it had received last",
    );
    Ok(())
}

fn busy(context: &Context, server: &mut Server, report: &mut Report) -> sh::Outcome {
    let before = server.asked()?.len();
    let url = server.url(&format!("/busy?count=5&refusals=2&after={RETRY_AFTER}"));
    let mut follower = Follower::start(context, "starlette-busy", &[&url])?;
    follower.wait_for(5)?;
    report.compare(&expected(5), &follower.finish()?);

    let asked = server.asked()?;
    let times: Vec<f64> = asked
        .iter()
        .skip(before)
        .map(|request| request.at)
        .collect();
    let waits: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let shown: Vec<String> = waits.iter().map(|wait| format!("{wait:.2} s")).collect();
    report.fact(format!(
        "waited {} where {RETRY_AFTER} s were asked for",
        shown.join(" and ")
    ));
    report.require(waits.len() == 2, "two refusals make three requests");
    report.require(
        waits.iter().all(|&wait| wait >= RETRY_AFTER),
        "came back before the time the server gave",
    );
    Ok(())
}

fn killed(context: &Context, server: &mut Server, report: &mut Report) -> sh::Outcome {
    let url = server.url("/feed?count=40&pace=0.05");
    let mut follower = Follower::start(context, "starlette-killed", &[&url])?;
    follower.wait_for(15)?;
    server.kill()?;
    // Long enough that the command meets a refused connection.
    thread::sleep(Duration::from_millis(1500));
    server.start()?;
    follower.wait_for(40)?;
    report.compare(&expected(40), &follower.finish()?);

    let asked = server.asked()?;
    let ids: Vec<&str> = asked.iter().map(Request::id).collect();
    report.fact(format!(
        "Last-Event-ID that the new server was asked for: {ids:?}"
    ));
    report.require(
        ids.iter().all(|id| !id.is_empty()),
        "a reconnect did not say which id it had received last",
    );
    Ok(())
}

/// The events of `app.py`, in the same words.
fn expected(count: u32) -> Vec<Event> {
    (1..=count)
        .map(|number| {
            Event::new(
                if number % 2 == 1 { "odd" } else { "even" },
                &number.to_string(),
                &format!("event {number}\n§ ✓ 𝄞"),
            )
        })
        .collect()
}

/// A request, as the server recorded it.
struct Request {
    last_event_id: Option<String>,
    /// Seconds on the server's monotonic clock.
    at: f64,
}

impl Request {
    fn id(&self) -> &str {
        self.last_event_id.as_deref().unwrap_or_default()
    }
}

struct Server {
    python: PathBuf,
    folder: PathBuf,
    port: u16,
    process: Option<sh::Guard>,
}

impl Server {
    fn start(&mut self) -> sh::Outcome {
        let command = programs::uvicorn(&self.python, "app:app", &source("starlette"), self.port);
        self.process = Some(programs::serve(
            "uvicorn",
            &command,
            &self.folder,
            self.port,
        )?);
        Ok(())
    }

    /// No farewell to anyone: the connections break off wherever they are.
    fn kill(&mut self) -> sh::Outcome {
        if let Some(mut process) = self.process.take() {
            process.signal("KILL")?;
            process.wait(Duration::from_secs(5))?;
        }
        Ok(())
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn asked(&self) -> sh::Outcome<Vec<Request>> {
        let value = programs::json("GET", self.port, "/requests", "")?;
        let requests = value.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(requests
            .iter()
            .map(|request| Request {
                last_event_id: request["last_event_id"].as_str().map(str::to_owned),
                at: request["at"].as_f64().unwrap_or_default(),
            })
            .collect())
    }
}
