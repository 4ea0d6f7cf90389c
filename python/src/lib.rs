//! The Python package `everstream`: thin bindings to the crate of the same name.
//!
//! This module is `everstream._native`. The public classes and their documentation are in
//! `python/everstream/*.py`.
//!
//! | file | subject |
//! |---|---|
//! | `client.rs`, `async_client.rs`, `settings.rs` | the blocking and the asyncio client; the settings of both |
//! | `action.rs`, `fault.rs`, `delivery.rs`, `last_error.rs`, `pending_exception.rs` | events, errors and exceptions as Python objects |
//! | `error_strategy.rs`, `retry_delay.rs` | strategies: presets, and those written in Python |
//! | `connect.rs`, `source.rs`, `async_source.rs`, `watch.rs` | sources written in Python; their read timeout |
//! | `http.rs`, `awaited.rs`, `read_ahead.rs` | HTTP by Everstream itself |
//! | `request.rs`, `exchange.rs` | requests and responses for urllib3, aiohttp and httpx |
//! | `direct.rs`, `idle_timeout.rs`, `http_client.rs`, `async_http_client.rs`, `http_connector.rs` | HTTP for strategies that wrap it |
//! | `process.rs`, `runtime.rs`, `event_loop.rs`, `wake.rs`, `exit.rs` | signals and forks, runtimes, asyncio's loop, interpreter exit |
//! | `testing.rs`, `log.rs`, `convert.rs` | the test server, logging, conversions |

mod action;
mod async_client;
mod async_http_client;
mod async_source;
mod awaited;
mod client;
mod connect;
mod convert;
mod delivery;
mod direct;
mod error_strategy;
mod event_loop;
mod exchange;
mod exit;
mod fault;
mod http;
mod http_client;
mod http_connector;
mod idle_timeout;
mod last_error;
mod log;
mod pending_exception;
mod process;
mod read_ahead;
mod request;
mod retry_delay;
mod runtime;
mod settings;
mod source;
mod testing;
mod wake;
mod watch;

use everstream::error_strategy::TRANSIENT_STATUSES;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

#[pymodule(gil_used = false)]
mod _native {
    use super::*;

    #[pymodule_export]
    use super::action::{Action, Comment, Event};
    #[pymodule_export]
    use super::async_client::AsyncClient;
    #[pymodule_export]
    use super::async_http_client::{AsyncHttpClient, AsyncHttpStream};
    #[pymodule_export]
    use super::async_source::Mailbox;
    #[pymodule_export]
    use super::client::{Client, Reading};
    #[pymodule_export]
    use super::convert::redact_url;
    #[pymodule_export]
    use super::error_strategy::ErrorPreset;
    #[pymodule_export]
    use super::exchange::Exchange;
    #[pymodule_export]
    use super::http::{Http, check_header_values};
    #[pymodule_export]
    use super::http_client::{HttpClient, HttpStream};
    #[pymodule_export]
    use super::request::{Request, add_params};
    #[pymodule_export]
    use super::retry_delay::Backoff;
    #[pymodule_export]
    use super::testing::{Feed, Gate, Reply, Server};
    #[pymodule_export]
    use super::wake::Wake;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        let statuses = PyTuple::new(module.py(), TRANSIENT_STATUSES)?;
        module.add("TRANSIENT_STATUSES", statuses)?;
        process::init(module)?;
        exit::init(module)
    }
}
