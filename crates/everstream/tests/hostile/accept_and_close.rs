//! A server that closes each connection, at different moments: each request is sent at most once, and no
//! attempt hangs.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use everstream::{Action, Fault, Http, SseClient, error_strategy, retry_delay};

use crate::support::{Client, for_both_clients};

for_both_clients!(each_request_is_sent_at_most_once_and_no_attempt_hangs);

const ATTEMPTS: u64 = 2_000;

/// In turn, closes immediately, after reading the request, within the head, and after the head.
fn close(stream: TcpStream, number: usize, seen: &Sender<u64>) -> std::io::Result<()> {
    if number % 4 == 0 {
        return Ok(());
    }
    for line in BufReader::new(&stream).lines() {
        let line = line?;
        if let Some(attempt) = line.strip_prefix("x-attempt: ") {
            _ = seen.send(attempt.parse().unwrap());
        }
        if line.is_empty() {
            break;
        }
    }
    let answer = match number % 4 {
        1 => "",
        2 => "HTTP/1.1 2",
        _ => "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\n",
    };
    (&stream).write_all(answer.as_bytes())
}

fn each_request_is_sent_at_most_once_and_no_attempt_hangs<C: Client>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (seen, requests) = channel();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            _ = close(stream, number, &seen);
        }
    });
    let http = Http::new(url).before_attempt(|attempt| async {
        let number = attempt.number().to_string();
        Ok::<_, Fault>(attempt.header("x-attempt", number))
    });
    let builder = SseClient::builder(http)
        .error_strategy(error_strategy::always_continue())
        .retry_delay_strategy(retry_delay::from_fn(|_| Duration::ZERO));
    let mut client = C::with(builder);
    let mut faults = 0;
    while faults < ATTEMPTS {
        match client.expect_action() {
            Action::Fault(_) => faults += 1,
            Action::Start(_) => {}
            other => panic!("{other:?}"),
        }
    }
    drop(client);
    let mut times: HashMap<u64, u32> = HashMap::new();
    for attempt in requests.try_iter() {
        *times.entry(attempt).or_default() += 1;
    }
    // The server reads three of four requests.
    assert!(times.len() as u64 > ATTEMPTS / 2, "{}", times.len());
    let repeated: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(repeated.is_empty(), "{repeated:?}");
}
