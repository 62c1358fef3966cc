//! Whether an address answers, and if not, how far we came: what a doctor asks, not a client.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::client::Client;

/// The largest answer read; what is looked at fits into far less.
const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// How far a request came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// There was an answer, whatever it says.
    Answered {
        /// The status.
        status: u16,
        /// The `Date` header, as it stands.
        date: Option<String>,
        /// The start of the body.
        body: String,
    },
    /// It did not come so far.
    Stopped {
        /// Where.
        stage: Stage,
        /// Why, in the words of the system or of the library. Never a URL.
        why: String,
    },
}

/// Where a request stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The name has no address.
    Dns,
    /// No connection to the address.
    Connect,
    /// The certificate is not believed, or there is no TLS.
    Tls,
    /// Connected, but no whole answer in time.
    Silent,
    /// Connected, but the connection broke.
    Broken,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "域名解析失败 (DNS)",
            Self::Connect => "连接不上 (connect)",
            Self::Tls => "TLS 握手失败 (certificate)",
            Self::Silent => "连上了但不回答 (timeout)",
            Self::Broken => "连接中断 (broken)",
        })
    }
}

impl Client {
    /// Asks `url` with GET and says how far that came within `deadline`.
    pub async fn reach(&self, url: &str, deadline: Duration) -> Reach {
        let stopped = |stage, why: &str| Reach::Stopped {
            stage,
            why: why.to_owned(),
        };
        match tokio::time::timeout(deadline, self.ask(url)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => stopped(stage(&error), &deepest(&error)),
            Err(_) => stopped(Stage::Silent, "到期没有回答"),
        }
    }

    async fn ask(&self, url: &str) -> Result<Reach, reqwest::Error> {
        let mut answer = self.inner().get(url).send().await?;
        let date = answer.headers().get("date");
        let date = date.and_then(|date| date.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await? {
            let room = ANSWER_MAX_BYTES.saturating_sub(body.len());
            body.extend_from_slice(&part[..part.len().min(room)]);
            if room == 0 {
                break;
            }
        }
        Ok(Reach::Answered {
            status: answer.status().as_u16(),
            date,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

/// The errors from the outermost to the deepest; an IO error gives way to what it wraps.
fn chain(error: &reqwest::Error) -> Vec<&(dyn Error + 'static)> {
    let mut chain: Vec<&(dyn Error + 'static)> = vec![error];
    let mut next = error.source();
    while let Some(error) = next {
        chain.push(error);
        let wrapped = error.downcast_ref::<std::io::Error>();
        next = match wrapped.and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    chain
}

fn stage(error: &reqwest::Error) -> Stage {
    let chain = chain(error);
    let tls = chain.iter().any(|error| error.is::<rustls::Error>());
    let dns = chain.iter().any(|error| error.to_string() == "dns error");
    match () {
        () if tls => Stage::Tls,
        () if dns => Stage::Dns,
        () if error.is_timeout() => Stage::Silent,
        () if error.is_connect() => Stage::Connect,
        () => Stage::Broken,
    }
}

fn deepest(error: &reqwest::Error) -> String {
    match chain(error).as_slice() {
        // The outermost one names the URL.
        [_] | [] => "no HTTP answer".to_owned(),
        [.., deepest] => deepest.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    const SOON: Duration = Duration::from_secs(5);

    /// A peer that reads something, says `answer` and hangs up.
    async fn peer(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        address.to_string()
    }

    async fn stopped(url: &str, deadline: Duration) -> Stage {
        match Client::new().unwrap().reach(url, deadline).await {
            Reach::Stopped { stage, .. } => stage,
            answered @ Reach::Answered { .. } => panic!("{url}: {answered:?}"),
        }
    }

    #[tokio::test]
    async fn an_answer_is_told_with_its_date_and_a_stop_with_its_stage() {
        let address = peer(
            "HTTP/1.1 418 no\r\ndate: Thu, 01 Jan 2026 00:00:30 GMT\r\ncontent-length: 2\r\n\
             connection: close\r\n\r\nhi",
        )
        .await;
        let client = Client::new().unwrap();
        let answered = Reach::Answered {
            status: 418,
            date: Some("Thu, 01 Jan 2026 00:00:30 GMT".to_owned()),
            body: "hi".to_owned(),
        };
        let url = format!("http://{address}/");
        assert_eq!(client.reach(&url, SOON).await, answered);
        let url = format!("https://{address}/");
        assert_eq!(stopped(&url, SOON).await, Stage::Tls);
    }

    #[tokio::test]
    async fn a_name_without_address_a_closed_port_and_a_broken_answer_are_told_apart() {
        // The TLD `.invalid` is refused by the resolver itself: nothing leaves this machine.
        assert_eq!(stopped("http://no.invalid/", SOON).await, Stage::Dns);
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        let url = format!("http://{closed}/");
        assert_eq!(stopped(&url, SOON).await, Stage::Connect);
        let url = format!("http://{}/", peer("HTTP/1.1 200").await);
        assert_eq!(stopped(&url, SOON).await, Stage::Broken);
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", silent.local_addr().unwrap());
        assert_eq!(
            stopped(&url, Duration::from_millis(50)).await,
            Stage::Silent
        );
    }
}
