//! The mini program's side of WeChat for the tests of use cases: it says what it was told to say,
//! by path, and remembers what it heard.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// An answer: a body, or silence.
type Answer = Option<Vec<u8>>;

#[derive(Debug, Default)]
struct State {
    script: HashMap<String, VecDeque<Answer>>,
    heard: Vec<(String, Value)>,
    tokens: u32,
}

/// WeChat's mini-program calls, on a port of their own until the process ends.
#[derive(Clone, Debug)]
pub(super) struct FakeMini {
    pub(super) base: String,
    state: Arc<Mutex<State>>,
}

impl FakeMini {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Self {
            base: format!("http://{}", listener.local_addr().unwrap()),
            state: Arc::default(),
        };
        let heard = fake.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heard = heard.clone();
                std::thread::spawn(move || heard.converse(stream));
            }
        });
        fake
    }

    /// The next calls whose path ends so are answered with these bodies; an empty one is silence.
    pub(super) fn says(&self, call: &str, bodies: &[&str]) {
        for body in bodies {
            let answer = (!body.is_empty()).then(|| body.as_bytes().to_vec());
            self.answers(call, answer);
        }
    }

    /// The next calls whose path ends so are refused with these codes.
    pub(super) fn refuses(&self, call: &str, errcodes: &[i64]) {
        for errcode in errcodes {
            self.says(
                call,
                &[&format!(r#"{{"errcode":{errcode},"errmsg":"no"}}"#)],
            );
        }
    }

    /// The next call whose path ends so is answered with these bytes.
    pub(super) fn answers(&self, call: &str, answer: Answer) {
        let script = &mut self.state.lock().unwrap().script;
        script.entry(call.to_owned()).or_default().push_back(answer);
    }

    /// The bodies of the calls whose path ends so, in order.
    pub(super) fn heard(&self, call: &str) -> Vec<Value> {
        let state = self.state.lock().unwrap();
        let of_call = state.heard.iter().filter(|(path, _)| path.ends_with(call));
        of_call.map(|(_, body)| body.clone()).collect()
    }

    fn converse(&self, mut stream: TcpStream) {
        let Some((path, body)) = read_request(&mut stream) else {
            return;
        };
        let Some(body) = self.state.lock().unwrap().answer(&path, &body) else {
            return;
        };
        let length = body.len();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(&[head.as_bytes(), &body].concat());
    }
}

impl State {
    fn answer(&mut self, path: &str, body: &str) -> Answer {
        let call = path.split('?').next().unwrap_or_default();
        let body = serde_json::from_str(body).unwrap_or_default();
        self.heard.push((call.to_owned(), body));
        let mut scripted = self.script.iter_mut();
        let scripted = scripted.find(|(end, _)| call.ends_with(end.as_str()));
        if let Some(answer) = scripted.and_then(|(_, answers)| answers.pop_front()) {
            return answer;
        }
        let usual = match call.rsplit('/').next().unwrap_or_default() {
            "stable_token" => {
                self.tokens += 1;
                let token = format!("TOKEN-{}", self.tokens);
                format!(r#"{{"access_token":"{token}","expires_in":7200}}"#)
            }
            "is_trade_managed" => r#"{"errcode":0,"is_trade_managed":true}"#.to_owned(),
            "get_delivery_list" => {
                let sf = r#"{"delivery_id":"SF","delivery_name":"顺丰速运"}"#;
                let yto = r#"{"delivery_id":"YTO","delivery_name":"圆通速递"}"#;
                format!(r#"{{"errcode":0,"count":2,"delivery_list":[{sf},{yto}]}}"#)
            }
            _ => r#"{"errcode":0,"errmsg":"ok"}"#.to_owned(),
        };
        Some(usual.into_bytes())
    }
}

fn read_request(stream: &mut TcpStream) -> Option<(String, String)> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut chunk).ok()?;
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if count == 0 {
                return None;
            }
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.parse::<usize>().ok())?
        });
        if body.len() >= length.unwrap_or(0) || count == 0 {
            let path = head.split(' ').nth(1)?.to_owned();
            return Some((path, body.to_owned()));
        }
    }
}
