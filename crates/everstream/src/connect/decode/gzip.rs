//! gzip (RFC 1952): members, each consisting of a header, deflated data and a trailer.
//!
//! The framing is parsed here, because flate2's types for it either lose what was decoded before an
//! error, or don't report where a member ends.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{Corrupt, Decode};

pub(super) struct Gzip {
    part: Part,
    /// How many bytes of the part have been read. Not counted for `Data`.
    count: usize,
    /// The optional parts of the header that haven't been read yet.
    flags: u8,
    /// The length of the extra field.
    extra_length: usize,
    trailer: [u8; 8],
    inflate: Decompress,
    crc: Crc,
}

/// The parts of a member, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// 10 bytes: magic number, method, flags, and fields that aren't needed.
    Header,
    ExtraLength,
    Extra,
    Name,
    Comment,
    /// Not checked, because the header doesn't affect the data.
    HeaderCrc,
    Data,
    /// The checksum and length of the data.
    Trailer,
}

/// The optional parts, with their flags (RFC 1952, section 2.3.1).
const OPTIONAL: [(u8, Part); 4] = [
    (1 << 2, Part::ExtraLength),
    (1 << 3, Part::Name),
    (1 << 4, Part::Comment),
    (1 << 1, Part::HeaderCrc),
];

const RESERVED: u8 = 0b1110_0000;

impl Gzip {
    pub(super) fn new() -> Self {
        Gzip {
            part: Part::Header,
            count: 0,
            flags: 0,
            extra_length: 0,
            trailer: [0; 8],
            inflate: Decompress::new(false),
            crc: Crc::new(),
        }
    }

    /// Reads one byte of a header or trailer.
    fn read_framing(&mut self, byte: u8) -> Result<(), Corrupt> {
        let index = self.count;
        self.count += 1;
        match self.part {
            Part::Header => {
                match (index, byte) {
                    (0, 0x1f) | (1, 0x8b) | (2, 8) => {}
                    (0..=2, _) => return Err("a header isn't a gzip header".into()),
                    (3, flags) if flags & RESERVED != 0 => {
                        return Err("a header has unknown flags".into());
                    }
                    (3, flags) => self.flags = flags,
                    _ => {}
                }
                if self.count == 10 {
                    self.enter_next_header_part();
                }
            }
            Part::ExtraLength => {
                self.extra_length |= usize::from(byte) << (8 * index);
                if self.count == 2 {
                    self.enter(Part::Extra);
                    if self.extra_length == 0 {
                        self.enter_next_header_part();
                    }
                }
            }
            Part::Extra if self.count == self.extra_length => self.enter_next_header_part(),
            Part::Name | Part::Comment if byte == 0 => self.enter_next_header_part(),
            Part::HeaderCrc if self.count == 2 => self.enter_next_header_part(),
            Part::Trailer => {
                self.trailer[index] = byte;
                if self.count == self.trailer.len() {
                    self.end_member()?;
                }
            }
            Part::Extra | Part::Name | Part::Comment | Part::HeaderCrc | Part::Data => {}
        }
        Ok(())
    }

    fn enter(&mut self, part: Part) {
        self.part = part;
        self.count = 0;
    }

    fn enter_next_header_part(&mut self) {
        let next = OPTIONAL.iter().find(|(flag, _)| self.flags & flag != 0);
        let (flag, part) = next.copied().unwrap_or((0, Part::Data));
        self.flags &= !flag;
        self.enter(part);
    }

    fn end_member(&mut self) -> Result<(), Corrupt> {
        let [a, b, c, d, length @ ..] = self.trailer;
        if u32::from_le_bytes([a, b, c, d]) != self.crc.sum()
            || u32::from_le_bytes(length) != self.crc.amount()
        {
            return Err("the checksum is wrong".into());
        }
        self.crc.reset();
        self.inflate.reset(false);
        self.extra_length = 0;
        self.enter(Part::Header);
        Ok(())
    }
}

impl Decode for Gzip {
    fn decode(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Corrupt> {
        loop {
            if self.part != Part::Data {
                let Some((byte, rest)) = input.split_first() else {
                    return Ok(());
                };
                *input = rest;
                self.read_framing(*byte)?;
                continue;
            }
            let (read, written) = (self.inflate.total_in(), out.len());
            let result = self
                .inflate
                .decompress_vec(input, out, FlushDecompress::None);
            // Can't overflow: it never consumes more than it was given.
            let read = (self.inflate.total_in() - read) as usize;
            *input = &input[read..];
            self.crc.update(&out[written..]);
            match result {
                Ok(Status::StreamEnd) => self.enter(Part::Trailer),
                Ok(_) if out.len() == out.capacity() => return Ok(()),
                Ok(_) if read == 0 && out.len() == written => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.part == Part::Header && self.count == 0
    }
}
