//! Tests of the service as an external harness uses it: a process, driven over HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

mod harness;

mod commands;
mod options;
mod reports;
mod requests;
