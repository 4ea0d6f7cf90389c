//! Runs the guide's programs, the Leptos example or the benchmark in headless Chromium. Arguments: which of
//! them, the folder of the compiled programs, an empty folder, and Chromium.

mod bench;
mod examples;
mod files;

use std::ffi::OsString;
use std::path::PathBuf;

use browser_common::{Browser, Outcome};

fn main() -> Outcome {
    let mut arguments = std::env::args_os().skip(1);
    let mut next = |what: &str| arguments.next().ok_or_else(|| format!("expected: {what}"));
    let mode = next("guide, leptos or bench")?;
    let programs = Programs {
        built: next("the folder of the compiled programs")?.into(),
        served: next("an empty folder")?.into(),
        chromium: next("Chromium")?.into(),
    };
    match mode.to_str() {
        Some("guide") => examples::run_guide(&programs),
        Some("leptos") => examples::run_leptos(&programs),
        Some("bench") => {
            let number = |text: OsString| text.to_string_lossy().parse::<usize>();
            let plan = bench::Plan {
                events: number(next("the number of events")?)?,
                rounds: number(next("the number of rounds")?)?,
                npm: &PathBuf::from(next("node_modules")?),
                page: &PathBuf::from(next("the page to write")?),
            };
            bench::run(&programs, &plan)
        }
        _ => Err(format!("unknown mode {}", mode.display()).into()),
    }
}

struct Programs {
    /// Has a folder for each profile.
    built: PathBuf,
    /// What the pages load.
    served: PathBuf,
    chromium: PathBuf,
}

impl Programs {
    /// Writes `NAME.js` and `NAME_bg.wasm`, which pages load.
    fn bind(&self, program: &str, profile: &str, name: &str) -> Outcome {
        browser_common::bind(&self.built.join(profile).join(program), &self.served, name)
    }

    /// Opens the page in a browser of its own.
    fn open(&self, url: &str) -> Outcome<Browser> {
        let browser = Browser::start(&self.chromium, &self.served.join("profile"))?;
        browser.open(url)?;
        Ok(browser)
    }
}
