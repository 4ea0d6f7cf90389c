//! The server: one response per connection, on a loopback socket.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(super) struct Server {
    pub(super) address: SocketAddr,
    listener: TcpListener,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Server {
            address: listener.local_addr().unwrap(),
            listener,
        }
    }

    /// Responds to one request with exactly these bytes, in pieces of this size.
    pub(super) async fn serve(&self, response: &[u8], piece: usize) {
        let (socket, _) = self.listener.accept().await.unwrap();
        // The client may legitimately disconnect in the middle.
        _ = answer(socket, response, piece).await;
    }
}

async fn answer(mut socket: TcpStream, response: &[u8], piece: usize) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
    while !request.ends_with(b"\r\n\r\n") {
        match socket.read(&mut buffer).await? {
            0 => return Ok(()),
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
    for piece in response.chunks(piece) {
        socket.write_all(piece).await?;
        // Gives the client a chance to read each piece separately.
        tokio::task::yield_now().await;
    }
    socket.shutdown().await?;
    // Closing a socket with unread data would discard sent data.
    while socket.read(&mut buffer).await? > 0 {}
    Ok(())
}
