//! deflate (RFC 9110, section 8.4.1.2): the zlib format, or raw deflate data, as some servers send.

use flate2::{Decompress, FlushDecompress, Status};

use super::{Corrupt, Decode};

pub(super) enum Deflate {
    /// Holds the first byte, which together with the second one tells the two formats apart.
    Unknown(Option<u8>),
    Inflating(Box<Decompress>),
    Complete,
}

impl Deflate {
    pub(super) fn new() -> Self {
        Deflate::Unknown(None)
    }
}

/// Whether these bytes are a zlib header (RFC 1950, section 2.2): the method is 8, and a checksum makes
/// the two bytes a multiple of 31. Raw data rarely begins this way: it would be a stored block of odd
/// length.
fn is_zlib(first: u8, second: u8) -> bool {
    first & 0x0f == 8 && u16::from_be_bytes([first, second]) % 31 == 0
}

impl Decode for Deflate {
    fn decode(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Corrupt> {
        if let Deflate::Unknown(first) = self {
            let first = match (*first, input.split_first()) {
                (Some(first), _) => first,
                (None, Some((byte, rest))) => {
                    *input = rest;
                    *self = Deflate::Unknown(Some(*byte));
                    *byte
                }
                (None, None) => return Ok(()),
            };
            let Some(second) = input.first() else {
                return Ok(());
            };
            let mut inflate = Box::new(Decompress::new(is_zlib(first, *second)));
            // Pass on the first byte, too. One byte can't fill `out`.
            inflate
                .decompress_vec(&[first], out, FlushDecompress::None)
                .map_err(|error| error.to_string())?;
            *self = Deflate::Inflating(inflate);
        }
        let Deflate::Inflating(inflate) = self else {
            // Some servers add padding after the end.
            *input = &[];
            return Ok(());
        };
        loop {
            let (read, written) = (inflate.total_in(), out.len());
            let result = inflate.decompress_vec(input, out, FlushDecompress::None);
            // Can't overflow: it never consumes more than it was given.
            let read = (inflate.total_in() - read) as usize;
            *input = &input[read..];
            match result {
                Ok(Status::StreamEnd) => {
                    *self = Deflate::Complete;
                    *input = &[];
                    return Ok(());
                }
                Ok(_) if out.len() == out.capacity() => return Ok(()),
                Ok(_) if read == 0 && out.len() == written => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn is_complete(&self) -> bool {
        matches!(self, Deflate::Complete | Deflate::Unknown(None))
    }
}
