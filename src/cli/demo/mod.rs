//! `zhanggui demo`: shop and simulator in one process, one purchase a protocol, over real HTTP.
//!
//! Needs no file, account or network. With `--once` its exit code is the verdict; without, both
//! keep serving and lines to paste are printed.

mod goods;
mod http;
mod purchase;
mod stage;
mod story;

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::json;

use super::args::Demo;
use super::exit::Failure;
use super::serve::{Stop, block_on};
use super::tempdir::TempDir;
use super::{log, term};
use crate::web::Client;

use purchase::Place;
use stage::{Shop, Stage};

/// What is told of a protocol.
#[derive(Debug)]
struct Told {
    version: &'static str,
    title: &'static str,
    /// Where prepay happens at WeChat.
    prepay_path: &'static str,
    pay_sign: &'static str,
    notify: &'static str,
}

const V3: Told = Told {
    version: "v3",
    title: "APIv3（JSON，RSA 签名）",
    prepay_path: "/v3/pay/transactions/jsapi",
    pay_sign: "paySign：商户私钥对 appId、timeStamp、nonceStr、package 四行做 RSA-SHA256 签名",
    notify: "其间 微信 → 掌柜  POST /wx/pay/notify：微信支付公钥验签，AES-GCM 解密，落盘后才答成功",
};

const V2: Told = Told {
    version: "v2",
    title: "APIv2（XML，HMAC-SHA256 签名）",
    prepay_path: "/pay/unifiedorder",
    pay_sign: "paySign：appId、nonceStr、package、signType、timeStamp 加密钥做 HMAC-SHA256",
    notify: "其间 微信 → 掌柜  POST /wx/pay/notify：API 密钥验签，落盘后才答成功",
};

/// Runs the demo.
///
/// # Errors
/// [`Failure::Failed`] naming what differs.
pub fn run(args: &Demo) -> Result<(), Failure> {
    let _log = log::start(log::LogFormat::Pretty, "warn").map_err(Failure::Failed)?;
    let dir = TempDir::new().map_err(|why| Failure::failed("无法建立临时目录", why))?;
    block_on(play(args, &dir))
}

async fn play(args: &Demo, dir: &TempDir) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let stage = Stage::set(dir).await?;
    let shop = stage.open(args.listen, V3.version).await?;
    stage.show_on_the_phone(&shop)?;
    push_messages(&shop, stage.simulator()).await?;
    term::say("掌柜演示：一笔从登录到支付的购买。商店和微信模拟器都在本机，HTTP 和签名都是真的。");
    term::say("One purchase, from login to paid. Shop and WeChat simulator run on this machine.");
    term::say(format!("shop {}", shop.url));
    term::say(format!("simulator {}", stage.simulator()));
    term::say(format!("phone {}/sandbox/phone", stage.simulator()));
    let outcome = tokio::select! {
        outcome = purchases(&shop, &stage) => outcome,
        () = stop.wanted() => Err(Failure::Failed("演示被中断".to_owned())),
    };
    if outcome.is_ok() && !args.once {
        term::say(lines_to_paste(&shop, stage.simulator()));
        stop.wanted().await;
    }
    let closed = shop.running.stop().await;
    stage.clear().await;
    outcome.and(closed)
}

/// Fills in the simulator's console where its messages go, as a merchant does in WeChat's.
async fn push_messages(shop: &Shop, simulator: &str) -> Result<(), Failure> {
    let client = Client::new().map_err(|why| Failure::failed("无法建立 HTTP 客户端", why))?;
    let target = json!({"url": format!("{}/wx/message", shop.url), "mode": "secure"});
    let ask = http::Ask::put(format!("{simulator}/sandbox/message-push")).with(target);
    match ask.send(&client).await {
        Ok(answer) if answer.status == 200 => Ok(()),
        Ok(answer) => Err(Failure::failed("消息推送地址未通过校验", answer.body)),
        Err(why) => Err(Failure::failed("消息推送地址未能登记", why)),
    }
}

/// The purchase with v3 in `shop`, then with v2 in a second one.
async fn purchases(shop: &Shop, stage: &Stage<'_>) -> Result<(), Failure> {
    purchase(shop, stage.simulator(), &V3).await?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let second = stage.open(listen, V2.version).await?;
    let outcome = purchase(&second, stage.simulator(), &V2).await;
    outcome.and(second.running.stop().await)?;
    term::say("\n演示成功：两种协议各一笔，订单已支付，库存正确，重复的通知没有改变任何东西。");
    term::say("All is well: paid over both protocols, stock right, told twice is told once.");
    Ok(())
}

async fn purchase(shop: &Shop, simulator: &str, told: &Told) -> Result<(), Failure> {
    term::say(format!("\n===== {} · {} =====", told.title, shop.url));
    let client = Client::new().map_err(|why| Failure::failed("无法建立 HTTP 客户端", why))?;
    let place = Place {
        shop: &shop.url,
        simulator,
        key: &shop.key,
        told,
    };
    let outcome = purchase::run(client, place).await;
    outcome.map_err(|why| Failure::failed(&format!("演示失败（{}）", told.title), why))
}

/// The same purchase for a shell, one line a step.
fn lines_to_paste(shop: &Shop, simulator: &str) -> String {
    let lines = include_str!("paste.txt").trim_end();
    let lines = lines
        .replace("@SHOP@", &shop.url)
        .replace("@SIM@", simulator);
    lines.replace("@KEY@", &shop.key)
}
