//! A merchant's backend: hears webhooks, verifies each by the specification alone, and answers as
//! it is told to.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use aws_lc_rs::hmac;
use data_encoding::BASE64;
use serde_json::Value;

use crate::http::{Message, read_message};

/// A message that came, verified.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) id: String,
    pub(crate) body: Value,
    /// The status that was answered.
    pub(crate) answered: u16,
}

impl Heard {
    pub(crate) fn event(&self) -> &str {
        self.body["type"].as_str().unwrap()
    }

    pub(crate) fn order_no(&self) -> &str {
        self.body["data"]["order_no"].as_str().unwrap_or("")
    }
}

type Answer = Box<dyn Fn(&Value) -> u16 + Send>;

#[derive(Default)]
struct State {
    secret: String,
    heard: Vec<Heard>,
    faults: Vec<String>,
    /// The status of an answer, by what came.
    answer: Option<Answer>,
}

/// See the file's head.
pub(crate) struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    pub(crate) fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &state));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook?from=zhanggui", self.address)
    }

    /// Verifies with this `whsec_…` from now on.
    pub(crate) fn knows(&self, secret: &str) {
        secret.clone_into(&mut self.state.lock().unwrap().secret);
    }

    /// Answers with this status from now on.
    pub(crate) fn answers(&self, answer: impl Fn(&Value) -> u16 + Send + 'static) {
        self.state.lock().unwrap().answer = Some(Box::new(answer));
    }

    /// Everything that came, in the order in which it came.
    #[track_caller]
    pub(crate) fn heard(&self) -> Vec<Heard> {
        let state = self.state.lock().unwrap();
        assert_eq!(state.faults, Vec::<String>::new());
        state.heard.clone()
    }

    /// What was taken, each once, in the order in which it was first taken.
    #[track_caller]
    pub(crate) fn taken(&self) -> Vec<Heard> {
        let mut taken: Vec<Heard> = vec![];
        for heard in self.heard() {
            if heard.answered == 200 && !taken.iter().any(|known| known.id == heard.id) {
                taken.push(heard);
            }
        }
        taken
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut stream = BufReader::new(stream);
    while let Ok(message) = read_message(&mut stream) {
        let status = take(&message, &mut state.lock().unwrap());
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nlocation: /else\r\n\r\n");
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn take(message: &Message, state: &mut State) -> u16 {
    let verified = verify(message, &state.secret);
    let (id, body) = match verified {
        Ok(verified) => verified,
        Err(why) => {
            state.faults.push(why);
            return 400;
        }
    };
    let answered = state.answer.as_ref().map_or(200, |answer| answer(&body));
    state.heard.push(Heard { id, body, answered });
    answered
}

/// Source: Standard Webhooks · Verifying webhook authenticity.
fn verify(message: &Message, secret: &str) -> Result<(String, Value), String> {
    let header = |name: &str| message.header(name).ok_or(format!("no {name}"));
    let (id, at) = (header("webhook-id")?, header("webhook-timestamp")?);
    let signature = header("webhook-signature")?;
    let text = [id.as_bytes(), b".", at.as_bytes(), b".", &message.body].concat();
    let key = secret.strip_prefix("whsec_").ok_or("no secret")?;
    let key = BASE64.decode(key.as_bytes()).map_err(|e| e.to_string())?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let tag = signature.strip_prefix("v1,").ok_or("not v1")?;
    let tag = BASE64.decode(tag.as_bytes()).map_err(|e| e.to_string())?;
    hmac::verify(&key, &text, &tag).map_err(|_| format!("bad signature of {id}"))?;
    if message.first != "POST /hook?from=zhanggui HTTP/1.1" {
        return Err(message.first.clone());
    }
    let body = serde_json::from_slice(&message.body).map_err(|e| e.to_string())?;
    Ok((id.to_owned(), body))
}
