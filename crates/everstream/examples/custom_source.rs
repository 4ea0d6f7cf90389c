//! Follows a stream that doesn't come over HTTP: here over a Unix socket. Reconnecting, the last id
//! and all the rest work as they do over HTTP.
//!
//! `cargo run -p everstream --example custom_source -- PATH`; without a path it follows a socket of its own.

#[cfg(unix)]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    use everstream::{ConnectRequest, Connection, SseClient, connect_fn};
    use tokio::io::AsyncWriteExt;
    use tokio::net::UnixStream;

    let own = std::env::temp_dir().join(format!("everstream-source-{}", std::process::id()));
    let path = match std::env::args().nth(1) {
        Some(path) => path.into(),
        None => {
            serve(&own)?;
            own.clone()
        }
    };

    // Called for every connection. What is sent first is between you and your server.
    let strategy = connect_fn(move |request: ConnectRequest| {
        let path = path.clone();
        async move {
            let mut socket = UnixStream::connect(path).await?;
            let id = request.last_event_id.unwrap_or_default();
            socket.write_all(format!("after {id}\n").as_bytes()).await?;
            Ok::<_, std::io::Error>(Connection::from_async_read(socket))
        }
    });

    let mut client = SseClient::builder(strategy).until("the end").build()?;
    while let Some(event) = client.next_event().await {
        println!("{}", event?.data());
    }
    _ = std::fs::remove_file(own);
    Ok(())
}

/// Tells what it was asked for, hangs up, and ends the second time.
#[cfg(unix)]
fn serve(path: &std::path::Path) -> std::io::Result<()> {
    use std::io::{BufRead, BufReader, Write};

    let listener = std::os::unix::net::UnixListener::bind(path)?;
    std::thread::spawn(move || {
        for (mut socket, id) in listener.incoming().flatten().zip(1..) {
            let mut asked = String::new();
            BufReader::new(&socket).read_line(&mut asked)?;
            let asked = asked.trim();
            write!(
                socket,
                "retry: 100\nid: {id}\ndata: you asked for what is {asked:?}\n\n"
            )?;
            if id == 2 {
                write!(socket, "data: the end\n\n")?;
            }
        }
        Ok::<_, std::io::Error>(())
    });
    Ok(())
}

#[cfg(not(unix))]
fn main() {
    eprintln!("this example needs Unix sockets");
}
