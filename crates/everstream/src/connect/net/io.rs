//! A connection as a stream of bytes: TCP, a Unix socket or TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// A connection. Its I/O errors, including those of TLS, have messages for users.
#[derive(Debug)]
pub(crate) enum Io {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    /// TLS over any of these: a tunnel through an `https` proxy is TLS over TLS.
    #[cfg(feature = "__rustls")]
    Rustls(Box<super::tls::TlsStream>),
    #[cfg(all(feature = "native-tls", not(feature = "__rustls")))]
    NativeTls(Box<tokio_native_tls::TlsStream<Io>>),
}

/// Calls the same method on any variant.
macro_rules! each {
    ($this:expr, $io:ident => $call:expr) => {
        match $this {
            Io::Tcp($io) => $call.map_err(explained),
            #[cfg(unix)]
            Io::Unix($io) => $call.map_err(explained),
            #[cfg(feature = "__rustls")]
            Io::Rustls($io) => $call.map_err(super::tls::readable),
            #[cfg(all(feature = "native-tls", not(feature = "__rustls")))]
            Io::NativeTls($io) => $call.map_err(super::tls::readable),
        }
    };
}

/// A socket was used after its runtime was dropped.
pub(crate) const RUNTIME_ENDED: &str = "the tokio runtime that opened the connection has ended";

/// Replaces an error that comes from tokio, not from the system, because its message is about contexts. tokio
/// itself returns only one such error for a socket: that the runtime has ended.
pub(super) fn explained(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Other if error.raw_os_error().is_none() => io::Error::other(RUNTIME_ENDED),
        _ => error,
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self.get_mut(), io => Pin::new(io).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), io => Pin::new(io).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), io => Pin::new(io).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Io::Tcp(io) => io.is_write_vectored(),
            #[cfg(unix)]
            Io::Unix(io) => io.is_write_vectored(),
            #[cfg(feature = "__rustls")]
            Io::Rustls(io) => io.is_write_vectored(),
            #[cfg(all(feature = "native-tls", not(feature = "__rustls")))]
            Io::NativeTls(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), io => Pin::new(io).poll_shutdown(cx))
    }
}
