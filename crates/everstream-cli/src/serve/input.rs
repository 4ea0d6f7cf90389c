//! Reads lines of standard input as they arrive.

use std::io::{self, BufRead};
use std::thread;

use tokio::sync::mpsc;

/// A line without its end, or what is wrong with it.
pub(super) type Line = Result<Vec<u8>, String>;
pub(super) type Lines = mpsc::Receiver<Line>;

/// The longest line. Without a limit, input without line ends would fill the memory.
const MAX_LINE: usize = 8 << 20;

/// Reads in a separate thread, because a read may block forever.
pub(super) fn lines() -> io::Result<Lines> {
    // Backpressure: the writer blocks while clients are served.
    let (sender, receiver) = mpsc::channel(16);
    thread::Builder::new().name("input".into()).spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let line = match read(&mut input, MAX_LINE) {
                Ok(Some(line)) => line,
                Ok(None) => return,
                Err(error) => {
                    _ = sender.blocking_send(Err(format!("it can't be read: {error}")));
                    return;
                }
            };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}

/// Returns the next line. A line that is too long is skipped.
fn read(input: &mut impl BufRead, max: usize) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let (mut length, mut any) = (0, false);
    loop {
        let bytes = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if bytes.is_empty() && !any {
            return Ok(None);
        }
        any = true;
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        length += part.len();
        if length <= max {
            line.extend_from_slice(part);
        } else {
            line = Vec::new();
        }
        let over = end.is_some() || bytes.is_empty();
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if !over {
            continue;
        }
        if length > max {
            return Ok(Some(Err(format!("it is longer than {max} bytes"))));
        }
        if line.ends_with(b"\r") {
            line.pop();
        }
        return Ok(Some(Ok(line)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_line_feeds_and_at_the_end() {
        // With reads of every size.
        for size in 1..12 {
            let mut input = io::BufReader::with_capacity(size, &b"a\n\r\nlong line\nb\r\n\nc"[..]);
            let mut lines = Vec::new();
            while let Some(line) = read(&mut input, 5).unwrap() {
                lines.push(line.map(|line| String::from_utf8(line).unwrap()));
            }
            let too_long = Err("it is longer than 5 bytes".to_owned());
            let text = |text: &str| Ok(text.to_owned());
            assert_eq!(
                lines,
                [
                    text("a"),
                    text(""),
                    too_long,
                    text("b"),
                    text(""),
                    text("c")
                ]
            );
        }
    }
}
