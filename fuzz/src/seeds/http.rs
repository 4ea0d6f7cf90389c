//! Heads and bodies of responses, valid and invalid.

/// Heads, cut in two different ways.
pub(super) fn heads() -> Vec<Vec<u8>> {
    let lines = [
        "",
        "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 7\r\n",
        "X-A: 1\r\n 2\r\n\t3\r\nB:\r\n\r\n",
        "A : b\r\nSet-Cookie: a\r\nset-cookie: b\r\n",
        "A B: c\r\n",
        ": x\r\n",
        "no colon\r\n",
        "A: \0\r\n",
        "A: b\rc\r\n",
        "A: \u{fc}\r\n",
    ];
    let begins = [
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 200 OK\n",
        "HTTP/1.1 204\r\n",
        "HTTP/1.1  304  Not Modified\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\r\nHTTP/1.1 200 OK\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n",
        "\r\n\nHTTP/1.1 099 OK\r\n",
        "HTTP/2 200 OK\r\n",
        "SSH-2.0-OpenSSH_9\r\n",
    ];
    let mut inputs = Vec::new();
    for (number, lines) in lines.iter().enumerate() {
        inputs.push(head(
            number as u8,
            &format!("{}{lines}\r\ndata: 1\n\n", begins[0]),
        ));
    }
    for (number, begin) in begins.iter().enumerate() {
        for lines in &lines[..3] {
            inputs.push(head(number as u8, &format!("{begin}{lines}\r\n")));
        }
    }
    inputs.push(head(
        1,
        &("HTTP/1.1 100 Continue\r\n\r\n".repeat(66) + begins[0] + "\r\n"),
    ));
    inputs.push(head(
        1,
        &(begins[0].to_owned() + &"A: b\r\n".repeat(130) + "\r\n"),
    ));
    inputs.push(head(1, &(begins[0].to_owned() + "A: " + &"b".repeat(2000))));
    inputs
}

fn head(number: u8, text: &str) -> Vec<u8> {
    let sizes = [[1, 1, 1, 1, 1, 1], [7, 3, 0, 40, 255, 2]][usize::from(number % 2)];
    [&[u8::from(number % 7 == 6)], &sizes[..], text.as_bytes()].concat()
}

/// Bodies, cut in two different ways.
pub(super) fn bodies() -> Vec<Vec<u8>> {
    let long = format!("{:x}\r\n{}\r\n", 3000, "data: x\n".repeat(375));
    let chunked = [
        "5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n5\r\nworld\r\n00;last\r\nTrailer: x\r\nB: c\r\n\r\nHTTP/1.1 200 OK",
        "A;a=\"b\"\r\n0123456789\r\n1 \r\nx\r\n1\t;\r\ny\r\n0\r\n\r\n",
        "3\r\nabc\r\nx\r\n",
        "3\r\nabc\r\n-1\r\n",
        "3\r\nabc\r\n5\nhello\r\n",
        "3\r\nabc\r\n5;a\nhello\r\n",
        "3\r\nabc\r\n5\rhello\r\n",
        "3\r\nabc\r\n10000000000000000\r\n",
        "3\r\nabc\r\nfffffffffffffff\r\nmore",
        "3\r\nabc\r\n5\r\nhello5\r\n",
        "3\r\nabc\r\n5\r\nhello\n0\r\n",
        "3\r\nabc\r\n0\r\n\n",
        "3\r\nabc\r\n0\r\n\rx",
        "000000000000000000003\r\nabc\r\n0\r\n\r\n",
        &long,
    ];
    let mut inputs = Vec::new();
    for sizes in [[1, 1, 1, 1, 1, 1], [7, 3, 0, 40, 255, 2]] {
        for text in chunked {
            inputs.push([&[0, 0, 0], &sizes[..], text.as_bytes()].concat());
        }
        for (framing, length) in [(2, 0), (2, 5), (2, 200), (3, 0)] {
            inputs.push([&[framing, length, 0], &sizes[..], b"data: 1\n\ndata: 2\n\n"].concat());
        }
    }
    // The largest chunk that is merged with the previous one, and the smallest that isn't.
    for size in [2047, 2048] {
        let chunk = format!(
            "3\r\nabc\r\n{size:x}\r\n{}z\r\n0\r\n\r\n",
            "x".repeat(size - 1)
        );
        inputs.push([&[0, 0, 0, 0, 0, 0, 0, 0, 0], chunk.as_bytes()].concat());
    }
    inputs.push([&[0, 0, 0, 255, 255, 255, 255, 255, 255], long.as_bytes()].concat());
    inputs
}
