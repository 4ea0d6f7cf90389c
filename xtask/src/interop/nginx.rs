//! nginx with the nchan module: messages in memory, and in Redis.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::follow::{Event, Follower, log_lines};
use super::programs::{self, NGINX, REDIS, free_port, wait};
use super::report::Report;
use super::{Context, scenario};
use crate::{apt, sh};

const NCHAN: (&str, &str) = (
    "/usr/lib/nginx/modules/ngx_nchan_module.so",
    "libnginx-mod-nchan",
);

/// nchan's ids are seconds and a counter: what is published after a restart must fall
/// into another second than what was published before it, or two messages could share
/// an id.
const DOWN_TIME: Duration = Duration::from_millis(1500);

pub(super) fn run(context: &Context, reports: &mut Vec<Report>) -> sh::Outcome {
    apt::install(&[NGINX, NCHAN, REDIS], &context.folder.join("apt.log"))?;
    let mut server = Server::prepare(context)?;
    server.start()?;
    scenario(
        reports,
        "nginx with nchan, in memory: sends its subscriber away after 2 s of silence",
        |report| sent_away(context, &server, report),
    );
    scenario(
        reports,
        "nginx with nchan, in memory: nginx -s stop, and start",
        |report| memory_restart(context, &mut server, report),
    );
    scenario(
        reports,
        "nginx with nchan, in Redis: reload, dead worker, stop with messages waiting, start",
        |report| redis_restart(context, &mut server, report),
    );
    Ok(())
}

/// Connections drop while nginx lives and continues to accept messages.
fn sent_away(context: &Context, server: &Server, report: &mut Report) -> sh::Outcome {
    const ROUNDS: usize = 3;
    let path = "/memory/away/brief";
    let mut channel = server.channel("memory", "away");
    channel.publish(5)?;
    let mut follower = Follower::start(context, "nginx-away", &[&server.url(path)])?;
    let mut while_away = 0;
    for round in 1..=ROUNDS {
        follower.wait_for(channel.sent.len())?;
        // nchan counts its 2 s from the last message, so it's silence that it takes.
        server.wait_for_log(path, round)?;
        while_away += channel.publish(5)?;
    }
    follower.wait_for(channel.sent.len())?;
    report.compare(&channel.sent, &follower.finish()?);
    report.fact(format!(
        "{while_away} of them published while nobody was connected"
    ));
    report.require(while_away > 0, "nothing was published while away");
    server.check_resumed(report, path);
    Ok(())
}

/// nchan forgets the messages that it kept in memory, so everything that was published
/// is received before the stop; what comes after the start must arrive.
fn memory_restart(context: &Context, server: &mut Server, report: &mut Report) -> sh::Outcome {
    let path = "/memory/restart/events";
    let mut channel = server.channel("memory", "restart");
    let mut follower = Follower::start(context, "nginx-restart", &[&server.url(path)])?;
    channel.publish(5)?;
    follower.wait_for(5)?;
    server.stop()?;
    thread::sleep(DOWN_TIME);
    server.start()?;
    // The first five at once, so most likely before the command is back; five after.
    let while_away = channel.publish(5)?;
    follower.wait_for(10)?;
    channel.publish(5)?;
    follower.wait_for(15)?;
    report.compare(&channel.sent, &follower.finish()?);
    report.fact(format!(
        "{while_away} of them published after the start, before the command was back"
    ));
    server.check_resumed(report, path);
    Ok(())
}

/// Messages in Redis outlive workers and restarts, so none may be lost at all.
fn redis_restart(context: &Context, server: &mut Server, report: &mut Report) -> sh::Outcome {
    let path = "/redis/restart/events";
    let mut channel = server.channel("redis", "restart");
    let mut follower = Follower::start(context, "nginx-redis", &[&server.url(path)])?;
    channel.publish(5)?;
    follower.wait_for(5)?;

    server.reload()?;
    channel.publish(5)?;
    follower.wait_for(10)?;

    server.kill_worker()?;
    channel.publish(5)?;
    follower.wait_for(15)?;

    // The reload drops the connection; nginx is stopped before the command is back, so
    // that these five wait in Redis over the stop. (nchan's count of subscribers can't
    // tell that here: the dead worker's are still in it.)
    server.reload()?;
    channel.publish(5)?;
    server.stop()?;
    thread::sleep(DOWN_TIME);
    let waiting = channel.sent.len() - follower.count()?;
    server.start()?;
    channel.publish(5)?;
    follower.wait_for(25)?;
    report.compare(&channel.sent, &follower.finish()?);
    report.fact(format!("{waiting} of them waited over the stop"));
    report.require(waiting > 0, "no message waited over the stop");
    server.check_resumed(report, path);
    Ok(())
}

/// The publisher's side of a channel.
struct Channel {
    port: u16,
    path: String,
    /// With the ids that nchan gave.
    sent: Vec<Event>,
}

impl Channel {
    /// Publishes `count` messages; returns how many of them found nobody connected.
    fn publish(&mut self, count: usize) -> sh::Outcome<usize> {
        let mut lonely = 0;
        for _ in 0..count {
            let data = format!("message {}", self.sent.len() + 1);
            let answer = programs::json("POST", self.port, &self.path, &data)?;
            let id = answer["last_message_id"]
                .as_str()
                .ok_or_else(|| format!("nchan gave no id: {answer}"))?;
            self.sent.push(Event::new("message", id, &data));
            if answer["subscribers"] == 0 {
                lonely += 1;
            }
        }
        Ok(lonely)
    }
}

struct Server {
    prefix: PathBuf,
    port: u16,
    redis_port: u16,
    nginx: Option<sh::Guard>,
    /// Lives as long as this value, over every restart of nginx.
    _redis: sh::Guard,
}

impl Server {
    /// Starts Redis, in a fresh prefix.
    fn prepare(context: &Context) -> sh::Outcome<Server> {
        let prefix = context.folder.join("nginx");
        sh::empty_folder(&prefix)?;
        let redis_port = free_port()?;
        let redis = programs::redis(redis_port);
        Ok(Server {
            port: free_port()?,
            redis_port,
            nginx: None,
            _redis: programs::serve("redis", &redis, &prefix, redis_port)?,
            prefix,
        })
    }

    fn command(&self) -> sh::Outcome<Command> {
        let ports = [self.port, self.redis_port].map(|port| port.to_string());
        let names = [("@PORT@", &*ports[0]), ("@REDIS_PORT@", &*ports[1])];
        programs::nginx("nginx", &self.prefix, &names)
    }

    fn start(&mut self) -> sh::Outcome {
        let nginx = programs::serve("nginx", &self.command()?, &self.prefix, self.port)?;
        self.nginx = Some(nginx);
        // Any worker: no process has the number 0.
        self.wait_for_worker(0)
    }

    fn stop(&mut self) -> sh::Outcome {
        if let Some(mut nginx) = self.nginx.take() {
            sh::capture(self.command()?.args(["-s", "stop"]))?;
            nginx.wait(Duration::from_secs(10))?;
        }
        Ok(())
    }

    /// New configuration, new worker; the old worker drops its connections.
    fn reload(&mut self) -> sh::Outcome {
        let old = self.worker()?;
        sh::capture(self.command()?.args(["-s", "reload"]))?;
        self.wait_for_worker(old)
    }

    /// As if the worker had crashed; the master starts another one.
    fn kill_worker(&mut self) -> sh::Outcome {
        let old = self.worker()?;
        sh::signal_process(old, "KILL")?;
        self.wait_for_worker(old)
    }

    /// Waits until `old` is gone, and another worker is there and connected to Redis: until then it
    /// answers 503 to what is published there.
    fn wait_for_worker(&mut self, old: u32) -> sh::Outcome {
        wait(&format!("nginx replaces its worker {old}"), || {
            let Some(&id) = self.workers()?.first() else {
                return Ok(false);
            };
            let lines = log_lines(&self.prefix.join("error.log"));
            let of_worker = format!(" {id}#");
            let is_ready = |line: &String| {
                line.contains(&of_worker) && line.contains("Redis upstream redis: ready")
            };
            let old_is_gone = id != old && !Path::new(&format!("/proc/{old}")).exists();
            Ok(old_is_gone && lines.iter().any(is_ready))
        })
    }

    fn worker(&mut self) -> sh::Outcome<u32> {
        match self.workers()?.as_slice() {
            [id] => Ok(*id),
            ids => Err(format!("expected one nginx worker, found {ids:?}").into()),
        }
    }

    fn workers(&mut self) -> sh::Outcome<Vec<u32>> {
        let Some(nginx) = &mut self.nginx else {
            return Err("nginx does not run".into());
        };
        nginx.check_alive()?;
        let id = nginx.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        Ok(children
            .split_whitespace()
            .filter_map(|id| id.parse().ok())
            .collect())
    }

    fn channel(&self, store: &str, name: &str) -> Channel {
        Channel {
            port: self.port,
            path: format!("/{store}/{name}/publish"),
            sent: Vec::new(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The Last-Event-ID of every request for `path` that has ended (`-`: none).
    fn last_event_ids(&self, path: &str) -> Vec<String> {
        log_lines(&self.prefix.join("access.log"))
            .iter()
            .filter(|line| line.contains(&format!(" GET {path} ")))
            .filter_map(|line| line.rsplit('"').nth(1))
            .map(str::to_owned)
            .collect()
    }

    /// Waits until `count` requests for `path` have ended.
    fn wait_for_log(&self, path: &str, count: usize) -> sh::Outcome {
        let what = format!("nginx ends {count} requests for {path}");
        wait(&what, || Ok(self.last_event_ids(path).len() >= count))
    }

    /// Requires that each reconnect said which id it had received last. A killed worker logs
    /// nothing, so there may have been more of them than are found.
    fn check_resumed(&self, report: &mut Report, path: &str) {
        let ids = self.last_event_ids(path);
        report.fact(format!(
            "Last-Event-ID of each connection in nginx's log: {}",
            ids.join(", ")
        ));
        report.require(ids.len() >= 2, "there was no reconnect");
        report.require(
            ids.iter().skip(1).all(|id| id != "-"),
            "a reconnect did not say which id it had received last",
        );
    }
}
