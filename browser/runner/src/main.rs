//! Runs the tests of `guest` in headless Chromium, each on a page and in a worker, and measures the minimal
//! client. Arguments: the folder of the compiled guests, an empty folder, Chromium, and optionally a part of
//! the names of the tests to run.

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use wasm_bindgen_cli_support::Bindgen;

use crate::run::Stage;

mod browser;
mod run;
mod script;
mod tests;

/// The most bytes that a minimal client may have, compressed.
const MAX_SIZE: usize = 50_000;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

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
        let mut bindgen = Bindgen::new();
        bindgen.input_path(guests.join(guest).with_extension("wasm"));
        bindgen
            .web(true)?
            .typescript(false)
            .omit_default_module_path(false);
        bindgen.remove_name_section(true);
        bindgen.generate(&folder)?;
    }
    let (raw, compressed) = size(&folder.join("minimal_bg.wasm"))?;
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

/// Raw and compressed.
fn size(file: &Path) -> Outcome<(usize, usize)> {
    let bytes = std::fs::read(file)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&bytes)?;
    Ok((bytes.len(), gzip.finish()?.len()))
}
