//! A relay on loopback that keeps what passes and can lose, hold or replace a message.
//!
//! One stands between the simulator and the server's notify address (it is `public_url`), one
//! between the server and WeChat's addresses (it is `api_base`).

use std::collections::VecDeque;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::http::{Client, Message, Place, read_message};

/// What happens to one message.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// It is kept here and answered 503; the target never sees it.
    Held,
    /// The target gets it, but its answer is lost: the connection closes.
    AnswerLost,
    /// The target never sees it; this JSON is the answer.
    Said(String),
}

/// Where a message is stopped until the tap lets go of it; then its connection closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The target has not seen it, and never will.
    Before,
    /// The target has answered; nobody hears the answer.
    After,
}

type IsIt = Box<dyn Fn(&Message) -> bool + Send>;

/// One request that passed, and its answer where there was one.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    pub(crate) request: Message,
    pub(crate) answer: Option<Message>,
}

impl Passed {
    pub(crate) fn target(&self) -> &str {
        self.request.second()
    }
}

/// A running relay.
pub(crate) struct Tap {
    pub(crate) address: SocketAddr,
    pub(crate) target: Place,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    passed: Vec<Passed>,
    fates: VecDeque<Fate>,
    /// The first message that this is true of is stopped.
    aim: Option<(IsIt, Stop)>,
    is_stopped: bool,
}

impl State {
    fn stop_for(&mut self, request: &Message) -> Option<Stop> {
        let (is_it, stop) = self.aim.as_ref()?;
        let stop = is_it(request).then_some(*stop)?;
        self.aim = None;
        Some(stop)
    }
}

impl Tap {
    pub(crate) fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let tap = Self {
            address,
            target: Place::default(),
            state: Arc::default(),
        };
        let (target, state) = (tap.target.clone(), Arc::clone(&tap.state));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (target, state) = (target.clone(), Arc::clone(&state));
                thread::spawn(move || relay(stream, &target, &state));
            }
        });
        tap
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next `times` messages meet this fate instead of passing.
    pub(crate) fn next(&self, fate: Fate, times: usize) {
        let mut state = self.state.lock().unwrap();
        state.fates.extend(std::iter::repeat_n(fate, times));
    }

    /// Whatever was still to come passes.
    pub(crate) fn calm(&self) {
        self.state.lock().unwrap().fates.clear();
    }

    /// Stops the first message that `is_it` is true of.
    pub(crate) fn stop_at(&self, stop: Stop, is_it: impl Fn(&Message) -> bool + Send + 'static) {
        self.state.lock().unwrap().aim = Some((Box::new(is_it), stop));
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state.lock().unwrap().is_stopped
    }

    /// What is stopped ends here.
    pub(crate) fn let_go(&self) {
        self.state.lock().unwrap().is_stopped = false;
    }

    /// What came so far for targets that begin with `target`.
    pub(crate) fn passed(&self, target: &str) -> Vec<Passed> {
        let state = self.state.lock().unwrap();
        let chosen = state
            .passed
            .iter()
            .filter(|passed| passed.target().starts_with(target));
        chosen.cloned().collect()
    }
}

fn relay(stream: TcpStream, target: &Place, state: &Mutex<State>) {
    let mut from = BufReader::new(stream);
    let mut to = Client::new(target);
    while let Ok(request) = read_message(&mut from) {
        let stop = state.lock().unwrap().stop_for(&request);
        if let Some(stop) = stop {
            return keep((request, stop), &mut to, state);
        }
        let fate = state.lock().unwrap().fates.pop_front();
        let answer = match &fate {
            Some(Fate::Held | Fate::Said(_)) => None,
            Some(Fate::AnswerLost) | None => pass(&mut to, &request).ok(),
        };
        let passed = Passed {
            request,
            answer: answer.clone(),
        };
        state.lock().unwrap().passed.push(passed);
        let sent = match (fate, answer) {
            (Some(Fate::AnswerLost), _) | (None, None) => return,
            (Some(Fate::Held), _) => from.get_mut().write_all(&made(503, "")),
            (Some(Fate::Said(body)), _) => from.get_mut().write_all(&made(200, &body)),
            (None, Some(answer)) => from.get_mut().write_all(&answer_bytes(&answer)),
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Keeps a message, or its answer, until the tap lets go.
fn keep((request, stop): (Message, Stop), to: &mut Client, state: &Mutex<State>) {
    let answer = match stop {
        Stop::Before => None,
        Stop::After => pass(to, &request).ok(),
    };
    {
        let mut state = state.lock().unwrap();
        state.passed.push(Passed { request, answer });
        state.is_stopped = true;
    }
    while state.lock().unwrap().is_stopped {
        thread::sleep(Duration::from_millis(5));
    }
}

fn pass(to: &mut Client, request: &Message) -> io::Result<Message> {
    let mut words = request.first.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    // Who is asked names himself by it: the simulator's links lead back through the tap.
    let is_host = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("host");
    let host = request.headers.iter().find(is_host);
    let mut headers = kept_headers(request);
    headers.extend(host.map(|(name, value)| (name.as_str(), value.as_str())));
    let reply = to.send(method, target, &headers, &request.body)?;
    Ok(reply.message)
}

fn made(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} Made\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

fn answer_bytes(answer: &Message) -> Vec<u8> {
    let mut head = format!("{}\r\n", answer.first);
    for (name, value) in kept_headers(answer) {
        head += &format!("{name}: {value}\r\n");
    }
    if answer.second() != "204" {
        head += &format!("content-length: {}\r\n", answer.body.len());
    }
    [head.as_bytes(), b"\r\n", &answer.body].concat()
}

/// The headers that are not about one connection.
pub(crate) fn kept_headers(message: &Message) -> Vec<(&str, &str)> {
    let own = [
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "keep-alive",
    ];
    let kept = message
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    kept.filter(|(name, _)| !own.contains(&name.to_ascii_lowercase().as_str()))
        .collect()
}
