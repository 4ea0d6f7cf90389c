//! The tests, by subject. Each has another half in `guest`, which is the program in the browser.

use crate::run::Test;

mod chromium;
mod connecting;
mod many;
mod origins;
mod requests;
mod responses;
mod resuming;
mod stopping;
mod timeouts;

/// All tests. Those that take longest come first.
pub(crate) fn all() -> impl Iterator<Item = &'static Test> {
    [
        timeouts::TESTS,
        chromium::TESTS,
        many::TESTS,
        stopping::TESTS,
        resuming::TESTS,
        requests::TESTS,
        responses::TESTS,
        origins::TESTS,
        connecting::TESTS,
    ]
    .into_iter()
    .flatten()
}
