//! A small harness: starts the service, drives it, and reads the callbacks.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use everstream_testing::{Reply, Server};
use serde_json::{Value, json};

/// Far longer than anything takes on a loaded machine; only a hang reaches this.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Runs each scenario as a test with every client, such as `async_::name` and `blocking::name`.
macro_rules! for_all_clients {
    ($($name:ident),* $(,)?) => {
        mod async_ {
            $(#[test]
            fn $name() {
                super::$name(&$crate::harness::Harness::start("async"));
            })*
        }
        mod blocking {
            $(#[test]
            fn $name() {
                super::$name(&$crate::harness::Harness::start("blocking"));
            })*
        }
        mod python {
            $(#[test]
            #[ignore = "needs the Python package, as `cargo xtask test` has it"]
            fn $name() {
                super::$name(&$crate::harness::Harness::start("python"));
            })*
        }
        mod python_async {
            $(#[test]
            #[ignore = "needs the Python package, as `cargo xtask test` has it"]
            fn $name() {
                super::$name(&$crate::harness::Harness::start("python-async"));
            })*
        }
    };
}
pub(crate) use for_all_clients;

/// The running service, a server for the streams, and one for the callbacks.
pub(crate) struct Harness {
    pub(crate) service: Service,
    pub(crate) server: Server,
    pub(crate) callbacks: Server,
}

impl Harness {
    pub(crate) fn start(client: &str) -> Harness {
        Harness {
            service: Service::start(client),
            server: Server::start(),
            callbacks: Server::with_handler(|_| Reply::status(200)),
        }
    }

    /// A request for a stream from the server, without optional fields except a short initial delay.
    pub(crate) fn stream_request(&self) -> Value {
        json!({
            "streamUrl": self.server.url("/stream"),
            "callbackUrl": self.callbacks.url("/callbacks"),
            "tag": "a test",
            "initialDelayMs": 1,
        })
    }

    /// Enqueues a reply and starts following the stream. Returns its location.
    pub(crate) fn follow(&self, reply: Reply) -> String {
        self.server.enqueue(reply);
        self.follow_with(&self.stream_request())
    }

    pub(crate) fn follow_with(&self, stream_request: &Value) -> String {
        let answer = self.service.ask("POST", "/", &stream_request.to_string());
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.location.expect("a Location")
    }

    /// Waits for this many callbacks. Returns all callbacks in the order of arrival.
    pub(crate) fn received_callbacks(&self, count: usize) -> Vec<Value> {
        let complete = self.callbacks.wait_for_requests(count, LIMIT);
        let requests = self.callbacks.requests();
        let bodies = requests.iter().enumerate().map(|(index, request)| {
            assert_eq!(request.method, "POST");
            assert_eq!(request.target, format!("/callbacks/{}", index + 1));
            assert_eq!(request.header("content-type"), Some("application/json"));
            serde_json::from_slice(&request.body).unwrap()
        });
        let bodies: Vec<Value> = bodies.collect();
        assert!(complete, "{count} callbacks were expected: {bodies:?}");
        bodies
    }

    #[track_caller]
    pub(crate) fn expect_callbacks(&self, expected: &[Value]) {
        assert_eq!(self.received_callbacks(expected.len()), expected);
    }

    /// Waits for this many requests for the stream.
    #[track_caller]
    pub(crate) fn expect_requests(&self, count: usize) {
        assert!(self.server.wait_for_requests(count, LIMIT), "no request");
    }
}

/// An event in the format of a callback.
pub(crate) fn event(kind: &str, data: &str, id: &str) -> Value {
    json!({"kind": "event", "event": {"type": kind, "data": data, "id": id}})
}

/// The service's process. It is killed when dropped.
pub(crate) struct Service {
    child: std::sync::Mutex<Child>,
    address: SocketAddr,
    /// Keeps the process's stdout pipe open.
    _stdout: BufReader<ChildStdout>,
}

/// A response of the service.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) body: String,
}

impl Service {
    fn start(client: &str) -> Service {
        let mut child = Self::program(client)
            .args(["--client", client, "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://");
        Service {
            address: address.and_then(|it| it.parse().ok()).expect("a port"),
            child: child.into(),
            _stdout: stdout,
        }
    }

    /// The service for the Rust clients, or the one for the Python clients.
    fn program(client: &str) -> Command {
        if !client.starts_with("python") {
            return Command::new(env!("CARGO_BIN_EXE_everstream-contract-tests"));
        }
        let python = std::env::var_os("EVERSTREAM_PYTHON");
        let python =
            python.expect("EVERSTREAM_PYTHON must name a Python with everstream installed");
        let mut command = Command::new(python);
        command
            .args(["-W", "error", "-B"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/service.py"));
        command
    }

    /// Sends a request and returns the response.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let length = body.len();
        write!(
            socket,
            "{method} {path} HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let location = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("location")
                .then(|| value.to_owned())
        });
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            location,
            body: body.into(),
        }
    }

    /// Waits for the process to exit. Returns whether it exited successfully.
    pub(crate) fn exits(&self) -> bool {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.lock().unwrap().try_wait().unwrap() {
                return status.success();
            }
            assert!(begin.elapsed() < LIMIT, "the service is still running");
            // std can't wait with a timeout.
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        _ = child.kill();
        _ = child.wait();
    }
}
