#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::error::Error as _;
use std::io::Write;
use std::task::Waker;

use futures_util::{StreamExt, stream};

use super::*;

/// Compresses the pieces with a flush after each. The last element is the end of the coded stream.
fn pieces(coding: &str, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    match coding {
        "gzip" => flushed(
            flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default()),
            pieces,
            |encoder| encoder.get_mut(),
            |encoder| encoder.finish().unwrap(),
        ),
        "br" => flushed(
            ::brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20),
            pieces,
            |encoder| encoder.get_mut(),
            |encoder| encoder.into_inner(),
        ),
        "deflate" => flushed(
            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default()),
            pieces,
            |encoder| encoder.get_mut(),
            |encoder| encoder.finish().unwrap(),
        ),
        _ => {
            let mut encoder = ::zstd::Encoder::new(Vec::new(), 0).unwrap();
            encoder.include_checksum(true).unwrap();
            flushed(
                encoder,
                pieces,
                |encoder| encoder.get_mut(),
                |encoder| encoder.finish().unwrap(),
            )
        }
    }
}

fn flushed<E: Write>(
    mut encoder: E,
    pieces: &[&[u8]],
    inner: fn(&mut E) -> &mut Vec<u8>,
    finish: fn(E) -> Vec<u8>,
) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for piece in pieces {
        encoder.write_all(piece).unwrap();
        encoder.flush().unwrap();
        all.push(std::mem::take(inner(&mut encoder)));
    }
    all.push(finish(encoder));
    all
}

fn whole(coding: &str, text: &[u8]) -> Vec<u8> {
    pieces(coding, &[text]).concat()
}

/// Returns the decoded text, and the fault after it.
async fn decode(coding: ContentCoding, chunks: &[&[u8]]) -> (Vec<u8>, Option<Fault>) {
    decode_body(coding, chunks.iter().map(|chunk| Ok(chunk.to_vec().into()))).await
}

async fn decode_body(
    coding: ContentCoding,
    body: impl Iterator<Item = Result<Bytes, Fault>>,
) -> (Vec<u8>, Option<Fault>) {
    let mut decoded = Decoded::new(stream::iter(body), coding);
    let mut text = Vec::new();
    while let Some(chunk) = decoded.next().await {
        match chunk {
            Ok(chunk) => {
                assert!(!chunk.is_empty() && chunk.len() <= decoded.out.capacity());
                text.extend_from_slice(&chunk);
            }
            Err(fault) => {
                assert!(
                    decoded.next().await.is_none(),
                    "the stream ends after a fault"
                );
                return (text, Some(fault));
            }
        }
    }
    (text, None)
}

/// Returns the kind of the fault's cause, whose message must name the coding.
fn kind(fault: Option<Fault>, coding: ContentCoding) -> Option<ErrorKind> {
    let fault = fault?;
    assert!(matches!(fault, Fault::Read(_)), "{fault:?}");
    let cause = fault.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert!(cause.to_string().starts_with(coding.token()), "{cause}");
    Some(cause.kind())
}

const TEXTS: [&[u8]; 3] = [b"data: first\n\n", b"data: second\n\n", b"data: third\n\n"];

#[tokio::test]
async fn chunk_boundaries_do_not_affect_decoding() {
    let large: Vec<u8> = (0..25_000_u32)
        .flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_le_bytes())
        .collect();
    for &coding in CODINGS {
        let body = pieces(coding.token(), &TEXTS).concat();
        for at in 0..=body.len() {
            let (text, fault) = decode(coding, &[&body[..at], &body[at..]]).await;
            assert_eq!((text, kind(fault, coding)), (TEXTS.concat(), None));
        }
        let body = whole(coding.token(), &large);
        for size in [1, 1000, body.len()] {
            let chunks: Vec<&[u8]> = body.chunks(size).collect();
            let (text, fault) = decode(coding, &chunks).await;
            assert!(text == large, "{}", coding.token());
            assert_eq!(kind(fault, coding), None);
        }
    }
}

#[tokio::test]
async fn a_truncated_body_delivers_all_flushed_data_then_a_fault() {
    for &coding in CODINGS {
        let pieces = pieces(coding.token(), &TEXTS);
        let body = pieces.concat();
        for at in 0..body.len() {
            let mut flushed = Vec::new();
            let mut end = 0;
            for (piece, text) in pieces.iter().zip(TEXTS) {
                end += piece.len();
                if end <= at {
                    flushed.extend_from_slice(text);
                }
            }
            let (text, fault) = decode(coding, &[&body[..at]]).await;
            assert!(text.starts_with(&flushed), "{} {at}", coding.token());
            // An empty body isn't an error.
            let expected = (at > 0).then_some(ErrorKind::UnexpectedEof);
            assert_eq!(kind(fault, coding), expected, "{} {at}", coding.token());

            let broken = [
                Ok(Bytes::copy_from_slice(&body[..at])),
                Err(Fault::Source("broken".into())),
            ];
            let (text, fault) = decode_body(coding, broken.into_iter()).await;
            assert!(text.starts_with(&flushed), "{} {at}", coding.token());
            assert!(matches!(fault, Some(Fault::Source(_))), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn corrupt_data_is_a_fault_after_all_flushed_data() {
    for &coding in CODINGS {
        let mut pieces = pieces(coding.token(), &TEXTS);
        let whole = pieces.concat();
        pieces.pop();
        for garbage in [
            &[0xff; 100][..],
            b"<html>it did not work</html>",
            &[0x07; 9],
        ] {
            // In the middle, in the same chunk as flushed data.
            let body = [&pieces.concat(), garbage].concat();
            let (text, fault) = decode(coding, &[&body]).await;
            assert!(text.starts_with(&TEXTS.concat()), "{}", coding.token());
            assert_eq!(kind(fault, coding), Some(ErrorKind::InvalidData));

            // After the end.
            let body = [&whole, garbage].concat();
            let (text, fault) = decode(coding, &[&body]).await;
            assert_eq!(text, TEXTS.concat(), "{}", coding.token());
            let ignored = coding == ContentCoding::Deflate;
            let expected = (!ignored).then_some(ErrorKind::InvalidData);
            assert_eq!(kind(fault, coding), expected);

            // From the beginning.
            let (text, fault) = decode(coding, &[garbage]).await;
            assert!(text.is_empty() && fault.is_some(), "{}", coding.token());
        }
    }
}

#[tokio::test]
async fn a_wrong_checksum_is_a_fault_after_the_data() {
    for &coding in CODINGS.iter().filter(|coding| coding.token() != "br") {
        let whole = pieces(coding.token(), &TEXTS).concat();
        for from_end in 1..=4 {
            let mut body = whole.clone();
            let at = body.len() - from_end;
            body[at] ^= 1;
            let (text, fault) = decode(coding, &[&body]).await;
            assert_eq!(text, TEXTS.concat(), "{}", coding.token());
            assert_eq!(kind(fault, coding), Some(ErrorKind::InvalidData));
        }
    }
}

#[tokio::test]
async fn consecutive_members_and_frames_are_all_decoded() {
    for &coding in CODINGS {
        let body = TEXTS.map(|text| whole(coding.token(), text)).concat();
        for size in [1, body.len()] {
            let chunks: Vec<&[u8]> = body.chunks(size).collect();
            let (text, fault) = decode(coding, &chunks).await;
            match coding.token() {
                // Brotli allows only one stream.
                "br" => {
                    assert_eq!(text, TEXTS[0]);
                    assert_eq!(kind(fault, coding), Some(ErrorKind::InvalidData));
                }
                // So does deflate; bytes after it count as padding.
                "deflate" => assert_eq!((&*text, kind(fault, coding)), (TEXTS[0], None)),
                _ => assert_eq!((text, kind(fault, coding)), (TEXTS.concat(), None)),
            }
        }
    }
}

#[tokio::test]
async fn a_gzip_header_may_have_every_field() {
    let coding = ContentCoding::Gzip;
    let plain = whole("gzip", TEXTS[0]);
    // With as many zeros as possible, which end a field if they are misparsed.
    let fields: [(u8, &[u8]); 4] = [
        (1 << 2, &[3, 0, 0, 0, 0]),
        (1 << 3, b"name\0"),
        (1 << 4, b"\0"),
        (1 << 1, &[0, 0]),
    ];
    for chosen in 0..16 {
        let mut body = plain[..10].to_vec();
        for (_, (flag, field)) in (0..)
            .zip(fields)
            .filter(|(index, _)| chosen >> index & 1 == 1)
        {
            body[3] |= flag;
            body.extend_from_slice(field);
        }
        body.extend_from_slice(&plain[10..]);
        let (text, fault) = decode(coding, &[&body, &plain]).await;
        assert_eq!((text, kind(fault, coding)), (TEXTS[0].repeat(2), None));
    }
    let mut empty_field = plain.clone();
    empty_field[3] = 1 << 2;
    empty_field.splice(10..10, [0, 0]);
    let (text, fault) = decode(coding, &[&empty_field]).await;
    assert_eq!((&*text, kind(fault, coding)), (TEXTS[0], None));

    let mut unknown_flag = plain;
    unknown_flag[3] = 1 << 7;
    let (_, fault) = decode(coding, &[&unknown_flag]).await;
    assert_eq!(kind(fault, coding), Some(ErrorKind::InvalidData));
}

#[tokio::test]
async fn windows_larger_than_the_coding_allows_are_refused() {
    let zstd = ContentCoding::Zstd;
    for (log, refused) in [(WINDOW_LOG, false), (WINDOW_LOG + 1, true)] {
        let mut encoder = ::zstd::Encoder::new(Vec::new(), 0).unwrap();
        encoder.window_log(log).unwrap();
        encoder.write_all(TEXTS[0]).unwrap();
        // Flush before the end, so that the frame header can't contain the small total size.
        encoder.flush().unwrap();
        let body = encoder.finish().unwrap();
        let (_, fault) = decode(zstd, &[&body]).await;
        let expected = refused.then_some(ErrorKind::InvalidData);
        assert_eq!(kind(fault, zstd), expected, "{log}");
    }
    // The beginning of "large window Brotli", for a window of 1 GiB.
    let brotli = ContentCoding::Brotli;
    let (_, fault) = decode(brotli, &[&[0x11, 30]]).await;
    assert_eq!(kind(fault, brotli), Some(ErrorKind::InvalidData));
}

const WINDOW_LOG: u32 = 23;

#[test]
fn a_decompression_bomb_is_decoded_in_small_pieces_and_yields() {
    let zeros = vec![0; 4 << 20];
    for &coding in CODINGS {
        let body = Bytes::from(whole(coding.token(), &zeros));
        assert!(body.len() < 8 << 10, "{} {}", coding.token(), body.len());
        let mut decoded = Decoded::new(stream::iter([Ok(body)]), coding);
        let mut cx = Context::from_waker(Waker::noop());
        let (mut length, mut pieces_without_yield) = (0, 0);
        loop {
            match decoded.poll_next_unpin(&mut cx) {
                Poll::Ready(Some(chunk)) => {
                    let chunk = chunk.unwrap();
                    assert!(chunk.len() <= MAX_DECODED);
                    length += chunk.len();
                    pieces_without_yield += 1;
                    assert!(
                        pieces_without_yield <= MAX_PIECES_BEFORE_YIELD,
                        "{}",
                        coding.token()
                    );
                }
                Poll::Ready(None) => break,
                Poll::Pending => pieces_without_yield = 0,
            }
        }
        assert_eq!(length, zeros.len(), "{}", coding.token());
    }
}
