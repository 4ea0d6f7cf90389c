//! Replays all seeds, corpora and crashes, without the fuzzer.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use everstream_fuzz::TARGETS;

/// A corpus with fewer inputs has probably lost most of them.
const FEWEST: usize = 30;

/// The files of a folder, in order.
fn inputs(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn replay(target: &str) {
    let Some((_, run)) = TARGETS.into_iter().find(|(name, _)| *name == target) else {
        panic!("there is no target {target}");
    };
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = inputs(&package.join("corpus").join(target));
    assert!(
        corpus.len() >= FEWEST,
        "fuzz/corpus/{target} has {} inputs; expected at least {FEWEST}",
        corpus.len()
    );
    for (number, seed) in everstream_fuzz::seeds(target).iter().enumerate() {
        run_named(run, seed, &format!("seed {number}"));
    }
    let crashes = inputs(&package.join("crashes").join(target));
    for path in corpus.iter().chain(&crashes) {
        let input = fs::read(path).unwrap();
        run_named(run, &input, &path.display().to_string());
    }
}

fn run_named(run: fn(&[u8]), input: &[u8], name: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(input))) {
        eprintln!("\nThe failing input is {name}.");
        resume_unwind(panic);
    }
}

#[test]
fn the_decoder_agrees_with_the_standard_on_its_corpus() {
    replay("decoder");
}

#[test]
fn no_cut_makes_a_difference_to_the_corpus() {
    replay("chunking");
}

#[test]
fn what_the_corpus_encodes_comes_back() {
    replay("encoder");
}

#[test]
fn no_script_of_the_corpus_breaks_a_rule_of_the_session() {
    replay("session");
}

#[test]
fn every_head_of_the_corpus_is_read_alike_whole_and_cut() {
    replay("http_head");
}

#[test]
fn every_body_of_the_corpus_is_decoded_alike_whole_and_cut() {
    replay("http_body");
}

#[test]
fn no_script_of_the_corpus_breaks_a_promise_of_an_attempt() {
    replay("http_exchange");
}

#[test]
fn every_response_of_the_corpus_ends_with_what_it_holds() {
    replay("http_response");
}

/// A folder with another name would never be replayed.
#[test]
fn every_corpus_belongs_to_a_target() {
    for kind in ["corpus", "crashes"] {
        for folder in inputs(&Path::new(env!("CARGO_MANIFEST_DIR")).join(kind)) {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            assert!(
                TARGETS.iter().any(|(target, _)| *target == name),
                "{kind}/{name} belongs to no target"
            );
        }
    }
}
