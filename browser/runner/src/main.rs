//! Runs the tests of `guest` in headless Chromium, each on a page and in a worker, and measures the minimal
//! client. Arguments: the folder of the compiled guests, an empty folder, Chromium, and optionally a part of
//! the names of the tests to run.

use std::path::PathBuf;

use browser_common::{Outcome, Size, bind, size};

use crate::run::Stage;

mod run;
mod script;
mod tests;

/// The most bytes that a minimal client may have, compressed.
const MAX_SIZE: usize = 50_000;

fn main() -> Outcome {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(guests), Some(folder), Some(chromium)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("expected: the folder of the guests, an empty folder, Chromium".into());
    };
    let filter = arguments.next().unwrap_or_default();
    let filter = filter.to_string_lossy();
    for guest in ["minimal", "tests"] {
        bind(&guests.join(guest), &folder, guest)?;
    }
    let Size { raw, compressed } = size(&folder.join("minimal_bg.wasm"))?;
    println!("the minimal client: {raw} bytes, {compressed} compressed");
    let selected = tests::all().filter(|test| test.name.contains(&*filter));
    let failed = Stage::new(&folder, &chromium)?.run_all(selected);
    if compressed >= MAX_SIZE {
        return Err(format!("the minimal client has more than {MAX_SIZE} bytes").into());
    }
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} tests failed").into()),
    }
}
