//! What the servers of a test answer.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use browser_common::Outcome;
use everstream_testing::{Gate, Reply, Request};

const PAGE: &str = "<!doctype html><link rel=icon href=data:,>
<script src=visibility.js></script><script type=module src=start.js></script>";

const WORKER_PAGE: &str = "<!doctype html><link rel=icon href=data:,>
<script src=visibility.js></script>
<script>new Worker('start.js' + location.search, { type: 'module' });</script>";

/// Tells the runner once the page is hidden.
const VISIBILITY: &str = "const tell = () => {
    if (document.hidden) fetch('/signal/hidden', { method: 'POST' });
};
document.addEventListener('visibilitychange', tell);
tell();";

/// Panics report themselves; everything else that fails is reported here.
const START: &str = "import init from './tests.js';
const report = text => {
    if (!/unreachable/.test(text)) fetch('/report', { method: 'POST', body: text });
};
self.onerror = message => report('uncaught: ' + message);
self.onunhandledrejection = event => report('unhandled: ' + event.reason);
init().catch(error => report('not started: ' + error));";

/// The program under test, as `wasm-bindgen` has written it.
pub(crate) struct Program {
    loader: Vec<u8>,
    code: Vec<u8>,
}

impl Program {
    pub(crate) fn read(folder: &Path) -> Outcome<Self> {
        Ok(Program {
            loader: std::fs::read(folder.join("tests.js"))?,
            code: std::fs::read(folder.join("tests_bg.wasm"))?,
        })
    }
}

/// One-shot signals between the program in the browser and the test, by name.
#[derive(Clone, Default)]
pub(crate) struct Signals(Arc<Mutex<HashMap<String, Gate>>>);

impl Signals {
    pub(crate) fn gate(&self, name: &str) -> Gate {
        lock(&self.0).entry(name.to_owned()).or_default().clone()
    }
}

/// A queue of replies. Preflight requests have a reply of their own.
#[derive(Clone)]
pub(crate) struct Replies(Arc<Mutex<Queue>>);

struct Queue {
    replies: VecDeque<Reply>,
    otherwise: Arc<Handler>,
    preflight: Reply,
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

impl Replies {
    pub(crate) fn new() -> Self {
        Replies(Arc::new(Mutex::new(Queue {
            replies: VecDeque::new(),
            otherwise: Arc::new(|_| Reply::status(404)),
            preflight: preflight(),
        })))
    }

    pub(crate) fn push(&self, reply: Reply) {
        lock(&self.0).replies.push_back(reply);
    }

    /// Sets what makes the reply when the queue is empty.
    pub(crate) fn otherwise(&self, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        lock(&self.0).otherwise = Arc::new(handler);
    }

    pub(crate) fn set_preflight(&self, reply: Reply) {
        lock(&self.0).preflight = reply;
    }

    pub(crate) fn next(&self, request: &Request) -> Reply {
        let mut queue = lock(&self.0);
        if request.method == "OPTIONS" {
            return queue.preflight.clone();
        }
        let handler = match queue.replies.pop_front() {
            Some(reply) => return reply,
            None => queue.otherwise.clone(),
        };
        drop(queue);
        handler(request)
    }
}

/// Allows pages of other origins to read the response.
pub(crate) fn allowed(reply: Reply) -> Reply {
    reply.header("Access-Control-Allow-Origin", "*")
}

pub(crate) fn preflight() -> Reply {
    let headers = "Authorization, Content-Type, Last-Event-ID";
    allowed(Reply::status(204)).header("Access-Control-Allow-Headers", headers)
}

/// The reply of the server that the page is from, if the request is one of the page or of the program.
pub(crate) fn page_reply(
    request: &Request,
    program: &Program,
    signals: &Signals,
    reports: &Mutex<Sender<String>>,
) -> Option<Reply> {
    let html = |text: &str| document("text/html", text.as_bytes());
    let script = |text: &[u8]| document("text/javascript", text);
    Some(match request.path() {
        "/page.html" => html(PAGE),
        "/worker.html" => html(WORKER_PAGE),
        "/visibility.js" => script(VISIBILITY.as_bytes()),
        "/start.js" => script(START.as_bytes()),
        "/tests.js" => script(&program.loader),
        "/tests_bg.wasm" => document("application/wasm", &program.code),
        "/report" => {
            let report = String::from_utf8_lossy(&request.body).into_owned();
            let _ = lock(reports).send(report);
            Reply::status(204)
        }
        path => match path.split_once('/')?.1.split_once('/')? {
            ("signal", name) => {
                signals.gate(name).open();
                Reply::status(204)
            }
            ("wait", name) => Reply::status(204).head_after(&signals.gate(name)),
            _ => return None,
        },
    })
}

fn document(kind: &str, content: &[u8]) -> Reply {
    Reply::status(200)
        .header("Content-Type", kind)
        .send(content)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
