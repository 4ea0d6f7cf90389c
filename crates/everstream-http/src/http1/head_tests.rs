use super::*;

fn read(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    Ok(HeadReader::new(false).read(bytes)?.head)
}

fn head(lines: &str) -> Head {
    let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
    read(text.as_bytes())
        .unwrap()
        .expect("the head is complete")
}

fn refused(lines: &str) -> Malformed {
    let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
    read(text.as_bytes()).unwrap_err()
}

#[test]
fn a_head_ends_at_its_blank_line_however_it_is_cut() {
    for line_end in ["\r\n", "\n"] {
        let lines = ["HTTP/1.1 200 OK", "Server: a", "X: b", "", ""];
        let text = lines.join(line_end) + "data";
        let length = text.len() - 4;
        for cut in 0..length {
            let mut reader = HeadReader::new(false);
            let step = reader.read(&text.as_bytes()[..cut]).unwrap();
            assert!(step.head.is_none() && step.consumed == 0, "{cut}");
            let step = reader.read(text.as_bytes()).unwrap();
            assert_eq!(step.consumed, length, "{cut}");
            assert_eq!(step.head.unwrap().headers.len(), 2);
        }
        let mut reader = HeadReader::new(false);
        for end in 0..length {
            assert!(reader.read(&text.as_bytes()[..end]).unwrap().head.is_none());
        }
        assert!(reader.read(text.as_bytes()).unwrap().head.is_some());
    }
}

#[test]
fn real_status_lines_are_read() {
    for (line, status, version) in [
        ("HTTP/1.1 200 OK", 200, Version::HTTP_11),
        ("HTTP/1.0 200 OK", 200, Version::HTTP_10),
        ("HTTP/1.1 200", 200, Version::HTTP_11),
        ("HTTP/1.1 200 ", 200, Version::HTTP_11),
        ("HTTP/1.1  200  OK", 200, Version::HTTP_11),
        ("HTTP/1.1 599 \u{e4}\u{f6}", 599, Version::HTTP_11),
        ("HTTP/1.1 101 Switching Protocols", 101, Version::HTTP_11),
    ] {
        let head = read(format!("{line}\r\n\r\n").as_bytes()).unwrap().unwrap();
        assert_eq!(
            (head.status.as_u16(), head.version),
            (status, version),
            "{line}"
        );
    }
}

#[test]
fn invalid_responses_are_rejected_early() {
    for text in [
        "S",
        "SSH-2.0-OpenSSH_9",
        "HTTP/2 200",
        "http/1.1 200 OK",
        "<html>",
        "\x16\x03",
    ] {
        assert_eq!(
            read(text.as_bytes()).unwrap_err(),
            Malformed::NotHttp,
            "{text:?}"
        );
    }
    for text in ["HTTP/1.2 200 OK\r\n\r\n", "HTTP/1.x 200 OK\r\n\r\n"] {
        assert_eq!(
            read(text.as_bytes()).unwrap_err(),
            Malformed::NotHttp,
            "{text:?}"
        );
    }
    for text in [
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 OK\r\n\r\n",
    ] {
        assert_eq!(
            read(text.as_bytes()).unwrap_err(),
            Malformed::StatusLine,
            "{text:?}"
        );
    }
}

#[test]
fn folded_lines_become_one_value() {
    for lines in [
        "X-A: 1\r\n 2\r\n",
        "X-A: 1\r\n\t2\r\n",
        "X-A: 1 \n   2\r\n",
        "X-A:\r\n 1\r\n 2\r\n",
    ] {
        assert_eq!(head(lines).headers["x-a"], "1 2", "{lines:?}");
    }
}

#[test]
fn headers_are_accepted_up_to_the_limit() {
    for count in [120, 300, MAX_HEADERS] {
        assert_eq!(
            head(&"A: b\r\n".repeat(count))
                .headers
                .get_all("a")
                .iter()
                .count(),
            count
        );
    }
    assert_eq!(
        refused(&"A: b\r\n".repeat(MAX_HEADERS + 1)),
        Malformed::TooManyHeaders
    );
}

#[test]
fn malformed_headers_are_rejected() {
    for lines in [": x\r\n", "A B: c\r\n", "A\r\n", "\0: a\r\n"] {
        assert_eq!(refused(lines), Malformed::HeaderName, "{lines:?}");
    }
    for lines in ["A: \0\r\n", "A: \x7f\r\n", "A: b\rc\r\n"] {
        assert_eq!(refused(lines), Malformed::HeaderValue, "{lines:?}");
    }
    assert_eq!(head("A : b\r\n").headers["a"], "b");
    assert_eq!(
        head("A: \u{e4}\r\n").headers["a"].as_bytes(),
        "\u{e4}".as_bytes()
    );
}

#[test]
fn an_error_in_an_endless_head_is_found_early() {
    let mut text = b"HTTP/1.1 200 OK\r\nA B: c\r\nX: ".to_vec();
    text.resize(FIRST_PARSE_SIZE, b'x');
    assert_eq!(read(&text).unwrap_err(), Malformed::HeaderName);
}

#[test]
fn an_endless_head_is_rejected_at_the_limit() {
    let mut reader = HeadReader::new(false);
    let mut text = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
    let mut arrived = 0;
    let error = loop {
        arrived += 1000;
        text.resize(arrived.max(text.len()), b'x');
        match reader.read(&text) {
            Ok(step) => assert!(step.head.is_none() && arrived < MAX_HEAD),
            Err(error) => break error,
        }
    };
    assert_eq!(error, Malformed::HeadTooLarge);
    let blank = b"\r\n".repeat(MAX_HEAD);
    assert_eq!(read(&blank).unwrap_err(), Malformed::HeadTooLarge);
}

#[test]
fn the_limit_of_a_head_does_not_depend_on_how_it_arrives() {
    let begin = b"\r\nHTTP/1.1 200 OK\r\nX: ";
    for (size, expected) in [
        (MAX_HEAD, None),
        (MAX_HEAD + 1, Some(Malformed::HeadTooLarge)),
    ] {
        let mut text = begin.to_vec();
        text.resize(size - 4, b'x');
        text.extend_from_slice(b"\r\n\r\n");
        for last in [1, 4, 5, 100, size] {
            let mut reader = HeadReader::new(false);
            let first = reader.read(&text[..size - last]).map(|step| step.consumed);
            let read = first.and_then(|consumed| reader.read(&text[consumed..]));
            assert_eq!(read.err(), expected, "{size} {last}");
        }
    }
}

#[test]
fn informational_responses_are_skipped_up_to_a_limit() {
    let info = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let last = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
    let text = format!("{}\r\n{last}rest", info.repeat(3));
    for cut in 0..text.len() - 4 {
        let mut reader = HeadReader::new(false);
        let first = reader.read(&text.as_bytes()[..cut]).unwrap();
        assert!(first.head.is_none());
        let step = reader.read(&text.as_bytes()[first.consumed..]).unwrap();
        assert_eq!(&text[first.consumed + step.consumed..], "rest", "{cut}");
        assert_eq!(step.head.unwrap().status, 200);
    }
    let most = info.repeat(MAX_INFORMATIONAL as usize) + last;
    assert!(read(most.as_bytes()).unwrap().is_some());
    let error = read((info.to_owned() + &most).as_bytes()).unwrap_err();
    assert_eq!(error, Malformed::TooManyInformational);
}

#[test]
fn the_headers_determine_the_framing() {
    let table = [
        ("", Ok(Framing::UntilClose)),
        ("Content-Length: 7\r\n", Ok(Framing::Length(7))),
        ("Content-Length: 007\r\n", Ok(Framing::Length(7))),
        ("Content-Length: 7, 7\r\n", Ok(Framing::Length(7))),
        (
            "Content-Length: 7\r\nContent-Length: 7\r\n",
            Ok(Framing::Length(7)),
        ),
        ("Content-Length:\r\n", Ok(Framing::UntilClose)),
        (
            "Content-Length: 18446744073709551615\r\n",
            Ok(Framing::Length(u64::MAX)),
        ),
        ("Transfer-Encoding: chunked\r\n", Ok(Framing::Chunked)),
        ("Transfer-Encoding: CHUNKED\r\n", Ok(Framing::Chunked)),
        ("Transfer-Encoding: identity\r\n", Ok(Framing::UntilClose)),
        (
            "Transfer-Encoding: identity, chunked\r\n",
            Ok(Framing::Chunked),
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 7\r\n",
            Ok(Framing::Chunked),
        ),
        (
            "Content-Length: 7\r\nContent-Length: 8\r\n",
            Err(Malformed::ConflictingLengths),
        ),
        (
            "Content-Length: 7, 8\r\n",
            Err(Malformed::ConflictingLengths),
        ),
        ("Content-Length: +7\r\n", Err(Malformed::ContentLength)),
        ("Content-Length: -7\r\n", Err(Malformed::ContentLength)),
        ("Content-Length: 7 7\r\n", Err(Malformed::ContentLength)),
        ("Content-Length: 0x7\r\n", Err(Malformed::ContentLength)),
        ("Content-Length: 7.0\r\n", Err(Malformed::ContentLength)),
        (
            "Content-Length: 18446744073709551616\r\n",
            Err(Malformed::ContentLength),
        ),
        (
            "Transfer-Encoding: gzip\r\n",
            Err(Malformed::TransferCoding),
        ),
        (
            "Transfer-Encoding: gzip, chunked\r\n",
            Err(Malformed::TransferCoding),
        ),
        (
            "Transfer-Encoding: chunked, gzip\r\n",
            Err(Malformed::TransferCoding),
        ),
        (
            "Transfer-Encoding: chunked, chunked\r\n",
            Err(Malformed::TransferCoding),
        ),
        (
            "Transfer-Encoding: xchunked\r\n",
            Err(Malformed::TransferCoding),
        ),
    ];
    for (lines, expected) in table {
        for version in ["1.1", "1.0"] {
            let text = format!("HTTP/{version} 200 OK\r\n{lines}\r\n");
            let framing = read(text.as_bytes()).map(|head| head.unwrap().framing);
            assert_eq!(framing, expected, "{text}");
        }
    }
}

#[test]
fn some_responses_have_no_body_whatever_the_headers_say() {
    for status in [101, 204, 304] {
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 9\r\n\r\n");
        assert_eq!(
            read(text.as_bytes()).unwrap().unwrap().framing,
            Framing::Length(0)
        );
    }
    let text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let step = HeadReader::new(true).read(text).unwrap();
    assert_eq!(step.head.unwrap().framing, Framing::Length(0));
}
