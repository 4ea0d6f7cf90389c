//! "Copy as cURL" of browsers.

use std::io::Write as _;

use everstream_testing::{Reply, Server};

/// "Copy as cURL" of Chromium and Firefox, for a shell; `curl` and the URL are replaced.
const COPIES: [(&str, &str, &str); 6] = [
    (
        "Chromium, GET",
        r#"curl 'URL' \
  -H 'Accept: text/event-stream' \
  -H 'Accept-Language: en-US,en;q=0.9' \
  -H 'Cache-Control: no-cache' \
  -H 'Connection: keep-alive' \
  -b 'session=abc; theme=dark' \
  -H 'Referer: http://localhost:8000/page' \
  -H 'Sec-Fetch-Dest: empty' \
  -H 'Sec-Fetch-Mode: cors' \
  -H 'Sec-Fetch-Site: same-origin' \
  -H 'User-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0.0.0 Safari/537.36' \
  -H 'sec-ch-ua: "Chromium";v="142", "Not_A Brand";v="99"' \
  -H 'sec-ch-ua-mobile: ?0' \
  -H 'sec-ch-ua-platform: "Linux"'"#,
        "",
    ),
    (
        "Chromium, POST",
        r#"curl 'URL' \
  -H 'accept: */*' \
  -H 'accept-language: en-US,en;q=0.9' \
  -H 'content-type: application/json' \
  -b 'session=abc; theme=dark' \
  -H 'origin: http://localhost:8000' \
  -H 'priority: u=1, i' \
  -H 'x-empty;' \
  -H 'user-agent: Mozilla/5.0' \
  --data-raw '{"stream":true,"messages":["@a"]}' \
  --compressed \
  --insecure"#,
        r#"{"stream":true,"messages":["@a"]}"#,
    ),
    (
        "Chromium, all headers",
        r#"curl 'URL' -X 'POST' -H 'accept-encoding: gzip, deflate, br, zstd' -H 'content-length: 15' -H 'content-type: application/json' -H 'cookie: session=abc; theme=dark' --data-raw '{"stream":true}' --compressed"#,
        r#"{"stream":true}"#,
    ),
    (
        "Firefox, GET",
        r#"curl 'URL' \
  -H 'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0' \
  -H 'Accept: text/event-stream' \
  -H 'Accept-Language: en-US,en;q=0.5' \
  -H 'Accept-Encoding: gzip, deflate, br, zstd' \
  -H 'Connection: keep-alive' \
  -H 'Cookie: session=abc; theme=dark' \
  -H 'Priority: u=4' \
  -H 'Pragma: no-cache' \
  -H 'Cache-Control: no-cache' \
  -H 'TE: trailers'"#,
        "",
    ),
    (
        "Firefox, POST over HTTP/2",
        r#"curl 'URL' \
  --compressed \
  --http2 \
  -X POST \
  -H 'User-Agent: Mozilla/5.0' \
  -H 'Accept: */*' \
  -H 'Accept-Encoding: gzip, deflate, br, zstd' \
  -H 'Content-Type: application/json' \
  -H 'Origin: http://localhost:8000' \
  -H 'Cookie: session=abc; theme=dark' \
  --data-raw '{"stream":true}'"#,
        r#"{"stream":true}"#,
    ),
    (
        "Firefox, with brackets in the URL, over HTTP/3",
        r#"curl --globoff --http3 'URL' -H 'Cookie: session=abc; theme=dark'"#,
        "",
    ),
];

#[test]
fn copy_as_curl_of_browsers_runs_unchanged() {
    for (name, copy, body) in COPIES {
        let server = Server::start();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"data: hello\n\n").unwrap();
        let stream = Reply::stream().header("Content-Encoding", "gzip");
        server.otherwise(stream.send(gzip.finish().unwrap()).end());
        let line = copy.replace("URL", &server.url("/chat/feed?x=%5B1%5D"));
        let line = line.replacen("curl", "\"$EVERSTREAM\"", 1);
        let mut shell = std::process::Command::new("sh");
        crate::common::clean(&mut shell);
        shell.args(["-c", &format!("{line} --no-reconnect --format data")]);
        shell.env("EVERSTREAM", env!("CARGO_BIN_EXE_everstream"));
        let output = shell.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.stdout, b"hello\n", "{name}: {stderr}");
        let request = &server.requests()[0];
        assert_eq!(request.target, "/chat/feed?x=%5B1%5D", "{name}");
        let method = if body.is_empty() { "GET" } else { "POST" };
        assert_eq!(request.method, method, "{name}");
        assert_eq!(request.body, body.as_bytes(), "{name}");
        assert_eq!(
            request.header("cookie"),
            Some("session=abc; theme=dark"),
            "{name}"
        );
        let encoding = request.header("accept-encoding").unwrap();
        assert!(
            encoding.contains("gzip") && encoding.contains("zstd"),
            "{encoding}"
        );
        if !body.is_empty() {
            assert_eq!(request.header("content-type"), Some("application/json"));
        }
    }
}
