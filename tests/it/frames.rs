//! HTTP/2 by hand: frames as an attacker would write them. Source: RFC 9113 · 4, 6; RFC 7541.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;

use crate::secure::{SHOP, Secured, connect};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
const CANCEL: [u8; 4] = [0, 0, 0, 8];
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A connection whose frames a test writes itself.
pub(crate) struct Frames {
    secured: Secured,
    next: u32,
}

/// A frame that came.
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frames {
    pub(crate) fn open(address: SocketAddr, client: &Arc<ClientConfig>) -> io::Result<Self> {
        let mut secured = connect(address, client)?;
        assert_eq!(secured.conn.alpn_protocol(), Some(&b"h2"[..]));
        secured.write_all(PREFACE)?;
        let mut frames = Self { secured, next: 1 };
        frames.write(&frame(SETTINGS, 0, 0, &[]))?;
        Ok(frames)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.secured.write_all(bytes)?;
        self.secured.flush()
    }

    /// Opens `count` streams with the head of a request; a `POST` has a body that never comes.
    pub(crate) fn ask(&mut self, method: &str, path: &str, count: u32) -> io::Result<Vec<u32>> {
        let (verb, flags) = match method {
            "GET" => (0x82, END_HEADERS | END_STREAM),
            _ => (0x83, END_HEADERS),
        };
        let mut head = vec![verb, 0x87, 0x04, u8::try_from(path.len()).unwrap()];
        head.extend(path.as_bytes());
        head.extend([0x01, u8::try_from(SHOP.len()).unwrap()]);
        head.extend(SHOP.as_bytes());
        let streams: Vec<u32> = (0..count).map(|turn| self.next + 2 * turn).collect();
        self.next += 2 * count;
        let all = streams.iter().map(|id| frame(HEADERS, flags, *id, &head));
        self.write(&all.collect::<Vec<_>>().concat())?;
        Ok(streams)
    }

    pub(crate) fn reset(&mut self, streams: &[u32]) -> io::Result<()> {
        let all = streams.iter().map(|id| frame(RST_STREAM, 0, *id, &CANCEL));
        self.write(&all.collect::<Vec<_>>().concat())
    }

    /// Waits until the server has read all that was written; `false` when it has said goodbye.
    pub(crate) fn settle(&mut self) -> io::Result<bool> {
        self.write(&frame(PING, 0, 0, &[7; 8]))?;
        loop {
            let came = self.read()?;
            match (came.kind, came.flags & ACK) {
                (PING, ACK) if came.payload == [7; 8] => return Ok(true),
                (GOAWAY, _) => return Ok(false),
                _ => {}
            }
        }
    }

    /// The next frame; settings and pings of the server are answered on the way.
    pub(crate) fn read(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.secured.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.secured.read_exact(&mut payload)?;
        let came = Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]),
            payload,
        };
        if matches!(came.kind, SETTINGS | PING) && came.flags & ACK == 0 {
            let said: &[u8] = if came.kind == PING {
                &came.payload
            } else {
                &[]
            };
            self.write(&frame(came.kind, ACK, 0, said))?;
        }
        Ok(came)
    }

    /// Asks, and gives back whether the head of the answer came.
    pub(crate) fn is_answered(&mut self, path: &str) -> io::Result<bool> {
        let asked = self.ask("GET", path, 1)?[0];
        loop {
            let came = self.read()?;
            match came.kind {
                HEADERS if came.stream == asked => return Ok(true),
                GOAWAY => return Ok(false),
                _ => {}
            }
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}
