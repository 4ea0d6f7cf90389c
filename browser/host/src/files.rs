//! The replies with the files that a page loads.

use std::path::PathBuf;

use everstream_testing::Reply;

/// Replies with one of the texts, by its path, or with a file of one of the folders, by the start of its
/// path.
pub(crate) fn reply(path: &str, texts: &[(&str, &str)], folders: &[(&str, PathBuf)]) -> Reply {
    if let Some((_, text)) = texts.iter().find(|(it, _)| *it == path) {
        return document(path, text.as_bytes().to_vec());
    }
    let file = folders
        .iter()
        .find_map(|(start, folder)| Some(folder.join(path.strip_prefix(start)?)));
    match file.and_then(|it| std::fs::read(it).ok()) {
        Some(content) => document(path, content),
        None => Reply::status(404),
    }
}

fn document(path: &str, content: Vec<u8>) -> Reply {
    let kind = match path.rsplit('.').next() {
        Some("js") => "text/javascript",
        Some("wasm") => "application/wasm",
        _ => "text/html",
    };
    let reply = Reply::status(200).header("Content-Type", kind);
    reply
        .content_length(content.len() as u64)
        .send(content)
        .end()
}
