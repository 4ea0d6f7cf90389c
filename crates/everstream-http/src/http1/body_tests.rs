use super::*;

/// Reads the bytes in pieces of this size. Returns the body, and whether it is complete.
fn read(framing: Framing, bytes: &[u8], size: usize) -> Result<(Vec<u8>, bool), Malformed> {
    let mut reader = BodyReader::new(framing);
    let (mut body, mut waiting) = (Vec::new(), Vec::new());
    for arrived in bytes.chunks(size) {
        waiting.extend_from_slice(arrived);
        loop {
            let piece = reader.read(&mut waiting)?;
            let is_last = piece.payload.is_empty();
            body.extend_from_slice(&waiting[piece.payload]);
            waiting.drain(..piece.consumed);
            if is_last {
                break;
            }
        }
    }
    Ok((body, reader.is_complete()))
}

fn chunked(sizes: &[usize]) -> (Vec<u8>, Vec<u8>) {
    let (mut bytes, mut body) = (Vec::new(), Vec::new());
    for (number, size) in sizes.iter().enumerate() {
        let data: Vec<u8> = (0..*size).map(|at| (at * 7 + number) as u8).collect();
        let extension = ["", ";a=b", " ; a=\"b\"", "\t"][number % 4];
        bytes.extend_from_slice(format!("{size:X}{extension}\r\n").as_bytes());
        bytes.extend_from_slice(&data);
        bytes.extend_from_slice(b"\r\n");
        body.extend_from_slice(&data);
    }
    (bytes, body)
}

#[test]
fn chunks_are_joined_however_they_arrive() {
    let (mut bytes, body) = chunked(&[1, 15, 16, 17, 235, 2047, 2048, 4096, 5000, 3, 1]);
    bytes.extend_from_slice(b"000;last\r\nTrailer: x\r\nAnother: y\r\n\r\n");
    for size in (1..300).chain([1024, 4096, 10_000, 100_000]) {
        let read = read(Framing::Chunked, &bytes, size);
        assert_eq!(read, Ok((body.clone(), true)), "{size}");
    }
}

#[test]
fn small_chunks_are_merged_and_large_ones_are_not_moved() {
    let (mut bytes, body) = chunked(&[100, 1, LARGE_CHUNK - 1, LARGE_CHUNK, 5]);
    let mut reader = BodyReader::new(Framing::Chunked);
    let piece = reader.read(&mut bytes).unwrap();
    assert_eq!(bytes[piece.payload.clone()], body[..100 + LARGE_CHUNK]);
    let rest = &mut bytes[piece.consumed..];
    let piece = reader.read(rest).unwrap();
    assert_eq!(rest[piece.payload.clone()], body[100 + LARGE_CHUNK..]);
}

#[test]
fn bytes_after_the_body_are_not_consumed() {
    for (framing, bytes) in [
        (Framing::Chunked, &b"1\r\na\r\n0\r\n\r\nHTTP/1.1 200 OK"[..]),
        (Framing::Length(1), b"aHTTP/1.1 200 OK"),
    ] {
        for size in [1, 5, 100] {
            assert_eq!(read(framing, bytes, size), Ok((b"a".to_vec(), true)));
        }
        let mut bytes = bytes.to_vec();
        let piece = BodyReader::new(framing).read(&mut bytes).unwrap();
        assert_eq!(&bytes[piece.consumed..], b"HTTP/1.1 200 OK");
    }
}

#[test]
fn data_before_a_malformed_chunk_is_returned_first() {
    let table = [
        ("x\r\n", Malformed::ChunkSize),
        ("\r\n", Malformed::ChunkSize),
        (" 5\r\nhello\r\n", Malformed::ChunkSize),
        ("-1\r\n", Malformed::ChunkSize),
        ("+1\r\n", Malformed::ChunkSize),
        ("0x1\r\n", Malformed::ChunkSize),
        ("5\nhello\r\n", Malformed::ChunkSize),
        ("5;a\nhello\r\n", Malformed::ChunkSize),
        ("5\rhello\r\n", Malformed::ChunkSize),
        ("10000000000000000\r\n", Malformed::ChunkSize),
        ("5\r\nhello5\r\n", Malformed::ChunkEnd),
        ("5\r\nhello\n0\r\n", Malformed::ChunkEnd),
        ("5\r\nhello\r0\r\n", Malformed::ChunkEnd),
        ("0\r\n\n", Malformed::Trailers),
        ("0\r\n\rx", Malformed::Trailers),
    ];
    for (text, expected) in table {
        let text = format!("3\r\nabc\r\n{text}");
        for size in 1..text.len() + 1 {
            let mut reader = BodyReader::new(Framing::Chunked);
            let (mut body, mut waiting, mut found) = (Vec::new(), Vec::new(), None);
            'arriving: for arrived in text.as_bytes().chunks(size) {
                waiting.extend_from_slice(arrived);
                loop {
                    match reader.read(&mut waiting) {
                        Ok(piece) if piece.payload.is_empty() => {
                            waiting.drain(..piece.consumed);
                            break;
                        }
                        Ok(piece) => {
                            body.extend_from_slice(&waiting[piece.payload]);
                            waiting.drain(..piece.consumed);
                        }
                        Err(error) => {
                            let mut more = *b"0\r\n\r\n";
                            assert_eq!(reader.read(&mut more), Err(error), "{text:?} {size}");
                            assert!(!reader.is_complete());
                            found = Some(error);
                            break 'arriving;
                        }
                    }
                }
            }
            assert_eq!(found, Some(expected), "{text:?} {size}");
            assert!(body.starts_with(b"abc"), "{text:?} {size}: {body:?}");
        }
    }
}

#[test]
fn chunk_line_and_trailer_limits_do_not_add_up_over_a_body() {
    let long = "x".repeat(MAX_CHUNK_LINE as usize);
    let text = format!("1;{long}\r\na\r\n");
    let refused = read(Framing::Chunked, text.as_bytes(), 1000);
    assert_eq!(refused, Err(Malformed::ChunkLineTooLong));
    let zeros = format!("{long}0001\r\na\r\n").replace('x', "0");
    let refused = read(Framing::Chunked, zeros.as_bytes(), 1000);
    assert_eq!(refused, Err(Malformed::ChunkLineTooLong));
    let trailers = format!("0\r\n{}\r\n", "A: b\r\n".repeat(MAX_TRAILERS as usize));
    let refused = read(Framing::Chunked, trailers.as_bytes(), 1000);
    assert_eq!(refused, Err(Malformed::Trailers));

    // A long-lived stream may have an extension in each chunk.
    let (text, body) = chunked(&[1; 40_000]);
    assert_eq!(read(Framing::Chunked, &text, 4096), Ok((body, false)));
}

#[test]
fn the_end_of_the_connection_completes_only_an_unframed_body() {
    let ended = |framing, text: &[u8]| {
        let mut reader = BodyReader::new(framing);
        reader.read(&mut text.to_vec()).unwrap();
        reader.connection_closed()
    };
    assert_eq!(ended(Framing::UntilClose, b"a"), BodyEnd::Closed);
    assert_eq!(ended(Framing::Length(1), b"a"), BodyEnd::Complete);
    assert_eq!(ended(Framing::Length(2), b"a"), BodyEnd::Truncated);
    assert_eq!(ended(Framing::Chunked, b"0\r\n\r\n"), BodyEnd::Complete);
    for truncated in [
        "",
        "1",
        "1\r\n",
        "1\r\na",
        "1\r\na\r\n",
        "0",
        "0\r\n",
        "0\r\n\r",
    ] {
        assert_eq!(
            ended(Framing::Chunked, truncated.as_bytes()),
            BodyEnd::Truncated,
            "{truncated:?}"
        );
    }
}
