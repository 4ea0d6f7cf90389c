//! The body of a response: compressed or not, chunked or not, in pieces of any size.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::numbers::Numbers;

pub(super) struct Body {
    gzip: Option<GzEncoder<Vec<u8>>>,
    chunked: bool,
    /// Bytes to send next.
    out: Vec<u8>,
}

impl Body {
    pub(super) fn new(gzip: bool, chunked: bool) -> Self {
        Body {
            gzip: gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast())),
            chunked,
            out: Vec::new(),
        }
    }

    /// Adds bytes. The receiver can decode all of them as soon as they arrive.
    pub(super) fn add(&mut self, bytes: &[u8], numbers: &mut Numbers) -> std::io::Result<()> {
        let Some(gzip) = &mut self.gzip else {
            self.frame(bytes, numbers);
            return Ok(());
        };
        gzip.write_all(bytes)?;
        gzip.flush()?;
        let compressed = std::mem::take(gzip.get_mut());
        self.frame(&compressed, numbers);
        Ok(())
    }

    /// Ends the body as its format requires.
    pub(super) fn end(&mut self, numbers: &mut Numbers) -> std::io::Result<()> {
        if let Some(gzip) = self.gzip.take() {
            let rest = gzip.finish()?;
            self.frame(&rest, numbers);
        }
        if self.chunked {
            self.out.extend(b"0\r\n\r\n");
        }
        Ok(())
    }

    /// Writes the first digit of a chunk size, and nothing more.
    pub(super) fn begin_chunk_size(&mut self) {
        self.out.push(b'1');
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn frame(&mut self, mut bytes: &[u8], numbers: &mut Numbers) {
        if !self.chunked {
            self.out.extend(bytes);
            return;
        }
        while !bytes.is_empty() {
            let length = if numbers.once_in(3) {
                numbers.between(1, bytes.len() + 1)
            } else {
                bytes.len()
            };
            let (chunk, rest) = bytes.split_at(length);
            self.out.extend(format!("{length:x}\r\n").bytes());
            self.out.extend(chunk);
            self.out.extend(b"\r\n");
            bytes = rest;
        }
    }
}
