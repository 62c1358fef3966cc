//! A WeChat for the tests of use cases: v2's orders, opened, queried, closed and paid, with faults.
//!
//! It signs what it says and believes what it hears; that requests are right is tested elsewhere.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use super::fake_refunds::{self, Paid, Refunds};
use crate::base::Secret;
use crate::base::xml::Fields;
use crate::wechat::SignType;
use crate::wechat::v2::sign::sign;

pub(super) const KEY: &str = "0123456789abcdefghijklmnopqrstuv";
pub(super) const APPID: &str = "wx8888888888888888";
pub(super) const MCHID: &str = "1900000109";

/// One order at WeChat.
#[derive(Clone, Debug)]
pub(super) struct Held {
    opened_with: String,
    pub(super) fee: String,
    pub(super) state: &'static str,
    pub(super) transaction_id: String,
}

/// What WeChat does, beside its duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing is heard and nothing answered.
    Down,
    /// What is asked is done, but the answer is lost.
    Mute,
    /// Closing is refused: the order is too young.
    Young,
    /// The buyer pays just before an order is closed.
    PaidFirst,
    /// What is asked is done, and answered once the fault is over.
    Slow,
}

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<String, Held>,
    heard: Vec<String>,
    fault: Option<Fault>,
    payments: u64,
    bills: BTreeMap<String, String>,
    refunds: Refunds,
}

/// WeChat, listening on a port of its own until the process ends.
#[derive(Clone, Debug)]
pub(super) struct Fake {
    pub(super) base: String,
    state: Arc<Mutex<State>>,
}

impl Fake {
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn fault(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// The buyer pays an order that can be paid: its new transaction.
    pub(super) fn pays(&self, number: &str) -> Option<String> {
        self.state().pays(number)
    }

    /// What WeChat holds under a number.
    pub(super) fn held(&self, number: &str) -> Option<Held> {
        self.state().held.get(number).cloned()
    }

    /// The numbers of all orders, with their states.
    pub(super) fn states(&self) -> Vec<(String, &'static str)> {
        let state = self.state();
        let each = state.held.iter();
        each.map(|(number, held)| (number.clone(), held.state))
            .collect()
    }

    /// Puts an order there that somebody opened before.
    pub(super) fn knows(&self, number: &str, state: &'static str, fee: &str) {
        let held = Held {
            opened_with: "before".to_owned(),
            fee: fee.to_owned(),
            state,
            transaction_id: format!("4200{}", number.len()),
        };
        self.state().held.insert(number.to_owned(), held);
    }

    /// What is sent for the bill of a day, `20260101`; without it, there were no trades.
    pub(super) fn bill(&self, date: &str, text: &str) {
        self.state().bills.insert(date.to_owned(), text.to_owned());
    }

    /// The codes with which refunds are refused from now on.
    pub(super) fn refuses_refunds(&self, code: Option<&'static str>) {
        self.state().refunds.refuse = code;
    }

    /// The refunds that WeChat holds.
    pub(super) fn refunds(&self) -> BTreeMap<String, fake_refunds::Held> {
        self.state().refunds.held.clone()
    }

    /// Every refund under way ends so.
    pub(super) fn refunds_end(&self, status: &'static str) {
        for held in self.state().refunds.held.values_mut() {
            held.status = status;
        }
    }

    /// An operator refunds in the merchant platform.
    pub(super) fn refunds_by_hand(&self, number: &str, amount: u64, out_trade_no: &str) {
        let mut state = self.state();
        let id = state.held[out_trade_no].transaction_id.clone();
        let paid = state.paid_by(&id).unwrap();
        state.refunds.by_hand(number, amount, paid);
    }

    /// The last part of the path and the number of each call, in order.
    pub(super) fn heard(&self) -> Vec<String> {
        self.state().heard.clone()
    }

    fn converse(&self, mut stream: TcpStream) {
        let Some((path, body)) = read_request(&mut stream) else {
            return;
        };
        let asked = Fields::parse(body.as_bytes(), "xml").unwrap_or_default();
        let said = if path.ends_with("/downloadbill") {
            self.state().billed(asked.text("bill_date"))
        } else {
            self.state().answer(&path, asked).map(|said| said.to_xml())
        };
        for _ in 0..1000 {
            if self.state().fault != Some(Fault::Slow) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        if let Some(text) = said {
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                text.len()
            );
            let _ = stream.write_all(format!("{head}{text}").as_bytes());
        }
    }
}

impl State {
    fn pays(&mut self, number: &str) -> Option<String> {
        self.payments += 1;
        let id = format!("42000000{:020}", self.payments);
        let held = self
            .held
            .get_mut(number)
            .filter(|held| held.state == "NOTPAY")?;
        held.state = "SUCCESS";
        held.transaction_id.clone_from(&id);
        Some(id)
    }

    fn billed(&mut self, date: &str) -> Option<String> {
        self.heard.push(format!("downloadbill {date}"));
        if self.fault == Some(Fault::Down) {
            return None;
        }
        let none = "<xml><return_msg>No Bill Exist</return_msg></xml>".to_owned();
        Some(self.bills.get(date).cloned().unwrap_or(none))
    }

    fn answer(&mut self, path: &str, asked: Fields) -> Option<Fields> {
        let number = asked.text("out_trade_no").to_owned();
        let call = path.rsplit('/').next().unwrap_or_default();
        let subject = match asked.text("out_refund_no") {
            "" => &number,
            refund_no => refund_no,
        };
        self.heard.push(format!("{call} {subject}"));
        if self.fault == Some(Fault::Down) {
            return None;
        }
        let said = match call {
            "unifiedorder" => self.opened(&number, asked),
            "orderquery" => self.queried(&number),
            "closeorder" => self.closed(&number),
            "refund" => {
                let paid = self.paid_by(asked.text("transaction_id"));
                self.refunds.take(asked, paid)
            }
            "refundquery" => self.refunds.asked_about(&asked),
            _ => refused("INVALID_REQUEST", "no such call"),
        };
        if self.fault == Some(Fault::Mute) {
            return None;
        }
        let said = said
            .with("return_code", "SUCCESS")
            .with("appid", APPID)
            .with("mch_id", MCHID);
        let signature = sign(&said, &Secret::from(KEY), SignType::Md5);
        Some(said.with("sign", signature))
    }

    /// The payment of this transaction.
    fn paid_by(&mut self, transaction_id: &str) -> Option<Paid> {
        let mut held = self.held.iter_mut();
        let (number, held) = held.find(|(_, held)| held.transaction_id == transaction_id)?;
        held.state = "REFUND";
        Some(Paid {
            out_trade_no: number.clone(),
            transaction_id: held.transaction_id.clone(),
            fee: held.fee.clone(),
        })
    }

    fn opened(&mut self, number: &str, mut asked: Fields) -> Fields {
        asked.remove("nonce_str");
        asked.remove("sign");
        let opened_with = asked.to_xml();
        match self.held.get(number) {
            None => {
                let held = Held {
                    opened_with,
                    fee: asked.text("total_fee").to_owned(),
                    state: "NOTPAY",
                    transaction_id: String::new(),
                };
                self.held.insert(number.to_owned(), held);
            }
            Some(held) => match held.state {
                "SUCCESS" | "REFUND" => return refused("ORDERPAID", "该订单已支付"),
                "CLOSED" => return refused("ORDERCLOSED", "订单已关闭"),
                _ if held.opened_with == opened_with => {}
                _ => return refused("INVALID_REQUEST", "201 商户订单号重复"),
            },
        }
        done()
            .with("prepay_id", format!("wx{number}"))
            .with("trade_type", "JSAPI")
    }

    fn queried(&self, number: &str) -> Fields {
        let Some(held) = self.held.get(number) else {
            return refused("ORDERNOTEXIST", "订单不存在");
        };
        let said = done()
            .with("trade_state", held.state)
            .with("out_trade_no", number);
        match held.state {
            "SUCCESS" | "REFUND" => said
                .with("transaction_id", held.transaction_id.as_str())
                .with("total_fee", held.fee.as_str())
                .with("fee_type", "CNY")
                .with("time_end", "20260101000100"),
            _ => said,
        }
    }

    fn closed(&mut self, number: &str) -> Fields {
        if self.fault == Some(Fault::PaidFirst) {
            self.pays(number);
        }
        let young = self.fault == Some(Fault::Young);
        match self.held.get_mut(number) {
            None => refused("ORDERNOTEXIST", "订单不存在"),
            Some(held) => match held.state {
                "SUCCESS" | "REFUND" => refused("ORDERPAID", "订单已支付"),
                "CLOSED" => refused("ORDERCLOSED", "订单已关闭"),
                _ if young => refused("INVALID_REQUEST", "订单生成后不能马上关单"),
                _ => {
                    held.state = "CLOSED";
                    done()
                }
            },
        }
    }
}

pub(super) fn done() -> Fields {
    Fields::new().with("result_code", "SUCCESS")
}

pub(super) fn refused(code: &str, said: &str) -> Fields {
    Fields::new()
        .with("result_code", "FAIL")
        .with("err_code", code)
        .with("err_code_des", said)
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
        let length = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, length)| length.parse().unwrap_or(0));
        if body.len() >= length || count == 0 {
            let path = head.split(' ').nth(1)?.to_owned();
            return Some((path, body.to_owned()));
        }
    }
}

/// WeChat's own notify of a payment, signed with the merchant's key.
pub(super) fn notify(out_trade_no: &str, transaction_id: &str, fen: &str) -> String {
    let fields = Fields::new()
        .with("return_code", "SUCCESS")
        .with("result_code", "SUCCESS")
        .with("appid", APPID)
        .with("mch_id", MCHID)
        .with("out_trade_no", out_trade_no)
        .with("transaction_id", transaction_id)
        .with("total_fee", fen)
        .with("fee_type", "CNY")
        .with("time_end", "20260101000100");
    let signature = sign(&fields, &Secret::from(KEY), SignType::Md5);
    fields.with("sign", signature).to_xml()
}
