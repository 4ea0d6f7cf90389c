//! The state that the server and its connections share: script and records.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::parse::Parsed;
use crate::reply::{Head, Reply};
use crate::request::Request;
use crate::sync::lock;

pub(crate) struct Shared {
    script: Mutex<Script>,
    records: Mutex<Records>,
    changed: Condvar,
    started: Instant,
}

struct Script {
    queue: VecDeque<Reply>,
    otherwise: Otherwise,
}

enum Otherwise {
    Reply(Reply),
    Handler(Arc<dyn Fn(&Request) -> Reply + Send + Sync>),
}

pub(crate) struct Records {
    pub(crate) requests: VecDeque<Request>,
    pub(crate) request_count: usize,
    max_requests: usize,
    pub(crate) refused: usize,
    pub(crate) accepted: usize,
    /// Weak, because a socket closes (or resets) when its last reference is dropped, which must be that
    /// of its own thread.
    pub(crate) open: HashMap<usize, Weak<TcpStream>>,
}

impl Shared {
    pub(crate) fn new() -> Shared {
        let script_ran_out = |request: &Request| {
            Reply::status(404)
                .header("Content-Type", "text/plain; charset=utf-8")
                .send(format!(
                    "The test server's script has no reply left for request {}, {} {}.\n",
                    request.number, request.method, request.target
                ))
        };
        Shared {
            script: Mutex::new(Script {
                queue: VecDeque::new(),
                otherwise: Otherwise::Handler(Arc::new(script_ran_out)),
            }),
            records: Mutex::new(Records {
                requests: VecDeque::new(),
                request_count: 0,
                max_requests: usize::MAX,
                refused: 0,
                accepted: 0,
                open: HashMap::new(),
            }),
            changed: Condvar::new(),
            started: Instant::now(),
        }
    }

    pub(crate) fn enqueue(&self, reply: Reply) {
        lock(&self.script).queue.push_back(reply);
    }

    pub(crate) fn set_reply(&self, reply: Reply) {
        lock(&self.script).otherwise = Otherwise::Reply(reply);
    }

    pub(crate) fn set_handler(&self, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        lock(&self.script).otherwise = Otherwise::Handler(Arc::new(handler));
    }

    /// Takes the next reply if it plays without a request.
    pub(crate) fn reply_on_accept(&self) -> Option<Reply> {
        let on_accept = |reply: &Reply| matches!(reply.head, Head::OnAccept);
        let mut script = lock(&self.script);
        match script.queue.front() {
            Some(reply) if on_accept(reply) => script.queue.pop_front(),
            Some(_) => None,
            None => match &script.otherwise {
                Otherwise::Reply(reply) if on_accept(reply) => Some(reply.clone()),
                _ => None,
            },
        }
    }

    pub(crate) fn reply_to(&self, request: &Request) -> Reply {
        let handler = {
            let mut script = lock(&self.script);
            if let Some(reply) = script.queue.pop_front() {
                return reply;
            }
            match &script.otherwise {
                Otherwise::Reply(reply) => return reply.clone(),
                Otherwise::Handler(handler) => Arc::clone(handler),
            }
        };
        // Without the lock: the handler may be slow, or use the server.
        handler(request)
    }

    pub(crate) fn records(&self) -> MutexGuard<'_, Records> {
        lock(&self.records)
    }

    pub(crate) fn wait_until(&self, limit: Duration, is: impl Fn(&Records) -> bool) -> bool {
        let records = self.records();
        let (records, _) = self
            .changed
            .wait_timeout_while(records, limit, |records| !is(records))
            .unwrap_or_else(PoisonError::into_inner);
        is(&records)
    }

    pub(crate) fn keep_requests(&self, count: usize) {
        let mut records = self.records();
        records.max_requests = count;
        records.drop_excess();
    }

    pub(crate) fn record(&self, parsed: Parsed, connection: usize) -> Request {
        let mut records = self.records();
        records.request_count += 1;
        let request = Request {
            method: parsed.method,
            target: parsed.target,
            version: parsed.version,
            headers: parsed.headers,
            body: parsed.body,
            number: records.request_count,
            connection,
            at: self.started.elapsed(),
        };
        records.requests.push_back(request.clone());
        records.drop_excess();
        drop(records);
        self.changed.notify_all();
        request
    }

    pub(crate) fn record_rejected(&self) {
        self.records().refused += 1;
        self.changed.notify_all();
    }

    /// Records an open connection until the registration is dropped.
    pub(crate) fn register(self: &Arc<Shared>, socket: &Arc<TcpStream>) -> Registration {
        let mut records = self.records();
        records.accepted += 1;
        let connection = records.accepted;
        records.open.insert(connection, Arc::downgrade(socket));
        drop(records);
        self.changed.notify_all();
        Registration {
            shared: Arc::clone(self),
            connection,
        }
    }

    /// Shuts down all open sockets; their threads notice and end.
    pub(crate) fn shut_down_connections(&self) {
        for socket in self.records().open.values().filter_map(Weak::upgrade) {
            // The client may just have closed it.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Makes all open sockets close with a reset.
    pub(crate) fn reset_connections(&self) {
        for socket in self.records().open.values().filter_map(Weak::upgrade) {
            // The close sends the reset. Shutting down the receiving side wakes the thread that closes
            // the socket; this sends nothing, whereas shutting down both sides would send a FIN.
            let _ = SockRef::from(&*socket).set_linger(Some(Duration::ZERO));
            let _ = socket.shutdown(Shutdown::Read);
        }
    }

    pub(crate) fn queued(&self) -> usize {
        lock(&self.script).queue.len()
    }
}

impl Records {
    fn drop_excess(&mut self) {
        let excess = self.requests.len().saturating_sub(self.max_requests);
        self.requests.drain(..excess);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queued = self.queued();
        let records = self.records();
        f.debug_struct("Shared")
            .field("queued", &queued)
            .field("requests", &records.request_count)
            .field("open_connections", &records.open.len())
            .finish_non_exhaustive()
    }
}

/// The entry of an open connection.
pub(crate) struct Registration {
    shared: Arc<Shared>,
    pub(crate) connection: usize,
}

impl Registration {
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shared.records().open.remove(&self.connection);
        self.shared.changed.notify_all();
    }
}
