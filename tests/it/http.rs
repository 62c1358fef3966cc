//! A small blocking HTTP/1.1 client: keep-alive, deadlines, nothing hidden, no second try.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// Longer than the longest answer the contract allows (25 s of WeChat calls).
const PATIENCE: Duration = Duration::from_secs(40);

/// Where a server is now; it moves when the server is started again.
#[derive(Clone, Default)]
pub(crate) struct Place(Arc<Mutex<Option<SocketAddr>>>);

impl Place {
    pub(crate) fn set(&self, address: SocketAddr) {
        *self.0.lock().unwrap() = Some(address);
    }

    pub(crate) fn get(&self) -> Option<SocketAddr> {
        *self.0.lock().unwrap()
    }
}

/// A message as it came: its first line, headers and body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) first: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The second word of the first line: a request's target, an answer's status.
    pub(crate) fn second(&self) -> &str {
        self.first.split(' ').nth(1).unwrap_or("")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) message: Message,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        self.message.text()
    }

    /// The body as JSON; `null` when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.message.body).unwrap_or(Value::Null)
    }

    /// The `code` of an error.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or("").to_owned()
    }

    /// The JSON body of an answer that must have this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "answer: {}", self.text());
        self.json()
    }

    /// Asserts status and error code together.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, code: &str) {
        let got = (self.status, self.code());
        assert_eq!(got, (status, code.to_owned()), "answer: {}", self.text());
        let answer = self.json();
        assert!(
            answer["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{answer}"
        );
        assert_eq!(
            answer["request_id"].as_str(),
            self.message.header("x-request-id")
        );
    }
}

/// One keep-alive connection to a [`Place`].
pub(crate) struct Client {
    place: Place,
    open: Option<(SocketAddr, BufReader<TcpStream>)>,
}

impl Client {
    pub(crate) fn new(place: &Place) -> Self {
        Self {
            place: place.clone(),
            open: None,
        }
    }

    /// Sends one request and reads its answer; an error closes the connection.
    pub(crate) fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Reply> {
        let address = self.place.get().ok_or(io::ErrorKind::NotConnected)?;
        let (mut stream, kept) = match self.open.take() {
            Some((known, stream)) if known == address && !has_ended(&stream) => (stream, true),
            _ => (self.connect(address)?, false),
        };
        let request = request_bytes(method, target, headers, body);
        let mut sent = exchange(&mut stream, &request);
        let gone =
            |e: &io::Error| e.kind() == io::ErrorKind::UnexpectedEof && e.get_ref().is_none();
        if kept && sent.as_ref().is_err_and(gone) && method == "GET" {
            stream = self.connect(address)?;
            sent = exchange(&mut stream, &request);
        }
        let message = sent?;
        let status = message.second().parse().map_err(|_| bad("no status"))?;
        if !message.closes() {
            self.open = Some((address, stream));
        }
        Ok(Reply { status, message })
    }

    fn connect(&self, address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(BufReader::new(stream))
    }
}

/// Whether the peer has closed a connection that nothing is expected on.
fn has_ended(stream: &BufReader<TcpStream>) -> bool {
    let stream = stream.get_ref();
    let peeked = stream
        .set_nonblocking(true)
        .and_then(|()| stream.peek(&mut [0]));
    let waits = peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    stream.set_nonblocking(false).is_err() || !waits
}

/// The bytes of a request with a length.
pub(crate) fn request_bytes(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        head += "host: localhost\r\n";
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() || method != "GET" {
        head += &format!("content-length: {}\r\n", body.len());
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

fn exchange(stream: &mut BufReader<TcpStream>, request: &[u8]) -> io::Result<Message> {
    stream.get_mut().write_all(request)?;
    read_message(stream)
}

/// Reads one message; a peer that closed before its first byte is a bare `UnexpectedEof`.
pub(crate) fn read_message(from: &mut impl BufRead) -> io::Result<Message> {
    let mut message = Message {
        first: read_line(from)?,
        ..Message::default()
    };
    loop {
        let line = read_line(from)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        message
            .headers
            .push((name.to_owned(), value.trim().to_owned()));
    }
    let status = message.second();
    let bare = message.first.starts_with("HTTP/") && matches!(status, "204" | "304");
    if message
        .header("transfer-encoding")
        .is_some_and(|value| value.contains("chunked"))
    {
        message.body = read_chunks(from)?;
    } else if let Some(length) = message.header("content-length").filter(|_| !bare) {
        let length: usize = length.parse().map_err(|_| bad("content-length"))?;
        message.body = vec![0; length];
        from.read_exact(&mut message.body)?;
    }
    Ok(message)
}

fn read_chunks(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(from)?;
        let length = usize::from_str_radix(&line, 16).map_err(|_| bad("chunk"))?;
        let mut chunk = vec![0; length];
        from.read_exact(&mut chunk)?;
        read_line(from)?;
        if length == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk);
    }
}

fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    let limit = 64 * 1024;
    from.take(limit).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = String::from_utf8(line).map_err(|_| bad("head"))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
