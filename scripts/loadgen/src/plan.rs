//! The scenarios: which request each sends, and what its answer must say.

use crate::wx::{self, Account};

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Is this token good: answered from memory.
    Token,
    /// A returning user logs in: one call to WeChat.
    Login,
    /// An order of two lines: durable before it is answered.
    Order,
    /// A v2 prepay: one signed call to WeChat, the prepay_id durable.
    Pay,
    /// A v2 notify, each order once: durable.
    Notify,
    /// The newest 20 orders of a user.
    List,
}

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::Token,
        Self::Login,
        Self::Order,
        Self::Pay,
        Self::Notify,
        Self::List,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Login => "login",
            Self::Order => "order",
            Self::Pay => "pay",
            Self::Notify => "notify",
            Self::List => "list",
        }
    }

    /// The scenario a request belongs to.
    pub fn of(method: &str, path: &str) -> Self {
        match (method, path) {
            ("POST", "/api/v1/token") => Self::Login,
            ("POST", "/api/v1/orders") => Self::Order,
            ("POST", "/wx/pay/notify") => Self::Notify,
            ("POST", _) => Self::Pay,
            (_, "/api/v1/orders") => Self::List,
            (_, _) => Self::Token,
        }
    }
}

/// Whose contract the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Ours.
    Zhanggui,
    /// The bench profile of the peers: every success is 200, its token check is `/api/v1/user`.
    Peer,
    /// Constant answers: nothing is checked but the status.
    Floor,
}

/// One request with what its answer must hold.
#[derive(Clone)]
pub struct Job {
    pub request: Vec<u8>,
    pub status: u16,
    pub holds: String,
    /// How often `holds` must stand in the answer.
    pub times: usize,
    /// What else must stand in it, and how often.
    pub also: Vec<(String, usize)>,
    /// The user of an order job.
    pub user: usize,
    /// What an order job costs, in fen.
    pub total_fen: u64,
}

/// An order that was placed.
#[derive(Clone)]
pub struct Placed {
    pub user: usize,
    pub order_no: String,
    pub total_fen: u64,
}

/// The price of an article, in fen, by its number.
pub fn price_fen(goods: u64) -> u64 {
    100 + 7 * goods
}

pub fn code_of(user: usize) -> String {
    format!("u{:04}", user + 1)
}

pub fn openid_of(user: usize) -> String {
    format!("o{:_<27}", code_of(user))
}

pub fn get(target: &str, token: &str) -> Vec<u8> {
    let auth = format!("authorization: Bearer {token}");
    format!("GET {target} HTTP/1.1\r\nhost: bench\r\n{auth}\r\n\r\n").into_bytes()
}

pub fn post(target: &str, token: &str, body: &str) -> Vec<u8> {
    let auth = match token {
        "" => String::new(),
        token => format!("authorization: Bearer {token}\r\n"),
    };
    let kind = if body.starts_with('<') {
        "text/xml"
    } else {
        "application/json"
    };
    let head = format!("POST {target} HTTP/1.1\r\nhost: bench\r\n{auth}content-type: {kind}");
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn job(request: Vec<u8>, status: u16, holds: impl Into<String>, times: usize) -> Job {
    Job {
        request,
        status,
        holds: holds.into(),
        times,
        also: vec![],
        user: 0,
        total_fen: 0,
    }
}

pub fn token_job(flavour: Flavour, token: &str) -> Job {
    let target = if flavour == Flavour::Peer {
        "/api/v1/user"
    } else {
        "/api/v1/token"
    };
    job(get(target, token), 200, "\"uid\"", 1)
}

/// Puts an article on sale.
pub fn article_job(number: u64, api_key: &str) -> Job {
    let price = price_fen(number);
    let body = format!(r#"{{"title":"商品 {number}","price_fen":{price},"stock":1000000000}}"#);
    let request = post("/admin/v1/goods", api_key, &body);
    job(request, 201, format!("\"id\":{number},"), 1)
}

/// Asks the simulator for a fresh code of wx.login.
pub fn login_code_job(user: usize) -> Job {
    let body = format!(r#"{{"openid":"{}"}}"#, openid_of(user));
    job(post("/sandbox/login-codes", "", &body), 200, "\"code\"", 1)
}

/// A request whose answer is its status alone.
pub fn quiet_job(request: Vec<u8>, status: u16) -> Job {
    job(request, status, "\"code\"", 0)
}

/// Asks for an order as the merchant: it stands as it was acknowledged, and was paid at most once.
pub fn tally_job(order_no: &str, total_fen: &str, status: &str, api_key: &str) -> Job {
    let request = get(&format!("/admin/v1/orders/{order_no}"), api_key);
    let mut asked = job(request, 200, format!("\"status\":\"{status}\""), 1);
    asked.also = vec![(format!("\"total_fen\":{total_fen},"), 1)];
    let paid = usize::from(status == "paid");
    asked.also.push(("\"order.paid\"".to_owned(), paid));
    asked.also.push(("\"counted\":true".to_owned(), paid));
    asked
}

pub fn login_job(code: &str) -> Job {
    job(
        post("/api/v1/token", "", &format!(r#"{{"code":"{code}"}}"#)),
        200,
        "\"token\"",
        1,
    )
}

/// An order of two different articles, chosen by `seed`.
pub fn order_job(flavour: Flavour, user: usize, token: &str, goods: u64, seed: u64) -> Job {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let mut below = |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % limit
    };
    let first = 1 + below(goods);
    let second = 1 + (first + below(goods - 1)) % goods;
    let (many, more) = (1 + below(3), 1 + below(3));
    let total_fen = price_fen(first) * many + price_fen(second) * more;
    let line = |goods, count| format!(r#"{{"goods_id":{goods},"count":{count}}}"#);
    let body = format!(
        r#"{{"lines":[{},{}]}}"#,
        line(first, many),
        line(second, more)
    );
    let status = if flavour == Flavour::Zhanggui {
        201
    } else {
        200
    };
    let holds = format!("\"total_fen\":{total_fen}");
    let made = job(post("/api/v1/orders", token, &body), status, holds, 1);
    Job {
        user,
        total_fen,
        ..made
    }
}

pub fn pay_job(placed: &Placed, token: &str) -> Job {
    let target = format!("/api/v1/orders/{}/pay", placed.order_no);
    job(post(&target, token, "{}"), 200, "prepay_id=", 1)
}

pub fn notify_job(placed: &Placed, account: &Account) -> Job {
    let openid = openid_of(placed.user);
    let xml = wx::notify(account, &placed.order_no, placed.total_fen, &openid);
    job(post("/wx/pay/notify", "", &xml), 200, "SUCCESS", 1)
}

pub fn list_job(token: &str) -> Job {
    job(
        get("/api/v1/orders?limit=20", token),
        200,
        "\"order_no\"",
        20,
    )
}

impl Job {
    /// What is wrong with an answer, if anything is.
    pub fn fault(&self, flavour: Flavour, status: u16, body: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(body).unwrap_or("");
        let right = match flavour {
            Flavour::Floor => status == 200,
            Flavour::Zhanggui | Flavour::Peer => {
                let stands =
                    |(holds, times): &(String, usize)| text.matches(holds).count() == *times;
                let main = text.matches(&self.holds).count() == self.times;
                status == self.status && main && self.also.iter().all(stands)
            }
        };
        let short: String = text.chars().take(200).collect();
        (!right).then(|| format!("{status} {short}"))
    }
}

/// The text value of the first `"name":"…"`.
pub fn field<'a>(body: &'a [u8], name: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(body).ok()?;
    let behind = text.split_once(&format!("\"{name}\""))?.1;
    let value = behind
        .trim_start()
        .strip_prefix(':')?
        .trim_start()
        .strip_prefix('"')?;
    value.split_once('"').map(|(value, _)| value)
}
