//! One port, several ways in: the first byte tells which one is meant.
//!
//! A further way, such as HTTP/2 for gRPC, begins with a letter too (`PRI * HTTP/2.0`) and by ALPN inside TLS; it gets a
//! door of its own here.

use std::sync::Arc;

use crate::identity::Identity;

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// A frame: no legal length is longer than three bytes.
    Frames,
    /// A TLS handshake record.
    Tls,
    /// A method of HTTP.
    Http,
    /// Something else, which no frame can be.
    Other,
}

impl Door {
    /// The door that a connection comes to with this first byte.
    pub fn of(first: u8) -> Door {
        match first {
            0x00 => Door::Frames,
            0x16 => Door::Tls,
            // CONNECT, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PRI, PUT, TRACE
            b'C' | b'D' | b'G' | b'H' | b'O' | b'P' | b'T' => Door::Http,
            _ => Door::Other,
        }
    }
}

/// How connections of a listener may come in.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// True where frames are taken without TLS.
    pub plain: bool,
    /// Who the server is to those that use TLS.
    pub identity: Arc<Identity>,
}

/// What somebody reads who took the server for one of the web.
pub const NO_HTTP: &str = "HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 72\r\n\
    Connection: close\r\n\
    \r\n\
    This is a Bellhop server: it speaks the protocol of Bellhop, not HTTP.\r\n";

#[cfg(test)]
mod tests {
    use bellhop_protocol::frame::LIMIT_MAX;

    use super::*;

    #[test]
    fn the_first_byte_decides() {
        let check = |first: &[u8], expected| assert_eq!(Door::of(first[0]), expected, "{first:?}");
        check(&LIMIT_MAX.to_be_bytes(), Door::Frames);
        check(&[0x16, 3, 1], Door::Tls);
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI"]
        {
            check(method.as_bytes(), Door::Http);
        }
        check(b"SSH-2.0", Door::Other);
        check(b"EHLO", Door::Other);
        check(&[0x80, 0x2E, 1], Door::Other);
    }

    #[test]
    fn the_answer_to_http_is_as_long_as_it_says() {
        let (head, body) = NO_HTTP.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }
}
