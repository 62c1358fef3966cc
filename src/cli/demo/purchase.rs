//! One purchase over real HTTP, from `wx.login` to paid, and the same notify once more.

use serde_json::{Value, json};

use super::Told;
use super::goods::{GOODS, Sample};
use super::http::Ask;
use super::story::{Scene, Story, number, remark, same, text, yuan};
use crate::web::Client;

/// Where the purchase happens.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The shop's address.
    pub(super) shop: &'a str,
    /// The simulator's address.
    pub(super) simulator: &'a str,
    /// The merchant's API key.
    pub(super) key: &'a str,
    /// What is told of the protocol.
    pub(super) told: &'a Told,
}

/// What the buyer has in hand once the order stands.
struct Held {
    token: String,
    order_no: String,
    goods: Vec<u64>,
}

const BUYER: &str = "小程序 → 掌柜";
const PHONE: &str = "小程序 → 微信";
const BACKEND: &str = "商家后端 → 掌柜";

/// What is bought: the place in [`GOODS`] and the count.
const BASKET: [(usize, u64); 2] = [(0, 1), (1, 2)];

fn total() -> u64 {
    BASKET
        .iter()
        .map(|&(at, count)| GOODS[at].price_fen * count)
        .sum()
}

fn bought(at: usize) -> u64 {
    BASKET
        .iter()
        .filter(|(bought, _)| *bought == at)
        .map(|(_, count)| count)
        .sum()
}

/// Plays the purchase and proves it.
///
/// # Errors
/// The first thing that differs from what it should be, in Chinese.
pub(super) async fn run(client: Client, place: Place<'_>) -> Result<(), String> {
    let mut play = Play {
        story: Story::new(client),
        place,
    };
    let goods = play.put_on_sale().await?;
    let token = play.log_in().await?;
    let order_no = play.order(&token, &goods).await?;
    let held = Held {
        token,
        order_no,
        goods,
    };
    let prepay_id = play.begin_to_pay(&held).await?;
    let transaction_id = play.pay(&prepay_id).await?;
    play.is_paid(&held, &transaction_id).await?;
    play.tell_twice(&held).await
}

struct Play<'a> {
    story: Story,
    place: Place<'a>,
}

impl Play<'_> {
    fn shop(&self, path: &str) -> String {
        format!("{}{path}", self.place.shop)
    }

    fn wechat(&self, path: &str) -> String {
        format!("{}{path}", self.place.simulator)
    }

    /// The merchant's backend enters the sample goods; gives back their numbers.
    async fn put_on_sale(&mut self) -> Result<Vec<u64>, String> {
        let url = self.shop("/admin/v1/goods");
        let ask = |sample: &Sample| {
            let Sample {
                title,
                price_fen,
                stock,
                description,
            } = sample;
            let body = json!({
                "title": title,
                "price_fen": price_fen,
                "stock": stock,
                "description": description,
            });
            Ask::post(url.clone()).with(body).by(self.place.key)
        };
        let [first, rest @ ..] = &GOODS;
        let entered = self
            .story
            .step(Scene(BACKEND, "上架商品", 201), ask(first))
            .await?;
        let mut ids = vec![number(&entered, "id")?];
        for sample in rest {
            ids.push(number(&self.story.quietly(ask(sample), 201).await?, "id")?);
        }
        remark(&format!("另外 {} 件也一样上架", rest.len()));
        Ok(ids)
    }

    /// `wx.login`, then its code for a token.
    async fn log_in(&mut self) -> Result<String, String> {
        let ask = Ask::post(self.wechat("/sandbox/login-codes")).with(json!({}));
        let login = Scene(PHONE, "wx.login：取登录凭证 code", 200);
        let code = text(&self.story.step(login, ask).await?, "code")?;
        let ask = Ask::post(self.shop("/api/v1/token")).with(json!({ "code": code }));
        let login = Scene(BUYER, "用 code 换登录令牌", 200);
        let token = self.story.step(login, ask).await?;
        self.called_wechat("/sns/jscode2session").await?;
        same("新用户", &json!(true), &token["new_user"])?;
        text(&token, "token")
    }

    /// The buyer sees the goods and orders some of them; gives back the order's number.
    async fn order(&mut self, token: &str, goods: &[u64]) -> Result<String, String> {
        let ask = Ask::get(self.shop("/api/v1/goods"));
        self.story
            .step(Scene(BUYER, "看商品（不用登录）", 200), ask)
            .await?;
        let line = |&(at, count): &(usize, u64)| json!({"goods_id": goods[at], "count": count});
        let lines: Vec<_> = BASKET.iter().map(line).collect();
        let body = json!({"lines": lines, "remark": "请包好"});
        let ask = Ask::post(self.shop("/api/v1/orders")).with(body).by(token);
        let place = Scene(BUYER, "下单：价格由掌柜定，库存当场预留", 201);
        let order = self.story.step(place, ask).await?;
        same("订单状态", &json!("pending"), &order["status"])?;
        same("订单金额", &json!(total()), &order["total_fen"])?;
        self.stock_is_right(goods).await?;
        remark(&format!("应付 {}，库存已各减去所买件数", yuan(total())));
        text(&order, "order_no")
    }

    /// Prepay at WeChat, and the object for `wx.requestPayment`, which the simulator judges.
    async fn begin_to_pay(&mut self, held: &Held) -> Result<String, String> {
        let path = format!("/api/v1/orders/{}/pay", held.order_no);
        let ask = Ask::post(self.shop(&path)).by(&held.token);
        let begin = Scene(BUYER, "发起支付：取 wx.requestPayment 的五个参数", 200);
        let params = self.story.step(begin, ask).await?;
        self.called_wechat(self.place.told.prepay_path).await?;
        remark(self.place.told.pay_sign);
        let package = text(&params, "package")?;
        let ask = Ask::post(self.wechat("/sandbox/verify-pay-params")).with(params);
        let judge = Scene(PHONE, "wx.requestPayment：微信核对五个参数和签名", 200);
        let judged = self.story.step(judge, ask).await?;
        same("协议", &json!(self.place.told.version), &judged["protocol"])?;
        same("微信看到的金额", &json!(total()), &judged["total_fen"])?;
        remark("五个参数齐全，paySign 验签通过");
        let prepay_id = package.strip_prefix("prepay_id=").map(str::to_owned);
        prepay_id.ok_or_else(|| format!("package 应以 prepay_id= 开头，实际 {package}"))
    }

    /// The buyer enters the password; WeChat notifies the shop.
    async fn pay(&mut self, prepay_id: &str) -> Result<String, String> {
        let body = json!({ "prepay_id": prepay_id });
        let ask = Ask::post(self.wechat("/sandbox/payments")).with(body);
        let pay = Scene(PHONE, "买家输入密码付款，微信随即通知掌柜", 200);
        let paid = self.story.step(pay, ask).await?;
        same("掌柜收下通知", &json!(true), &paid["notify_accepted"])?;
        remark(self.place.told.notify);
        text(&paid, "transaction_id")
    }

    async fn is_paid(&mut self, held: &Held, transaction_id: &str) -> Result<(), String> {
        let ask = Ask::get(self.shop(&format!("/api/v1/orders/{}", held.order_no)));
        let look = Scene(BUYER, "查订单", 200);
        let order = self.story.step(look, ask.by(&held.token)).await?;
        same("订单状态", &json!("paid"), &order["status"])?;
        same(
            "微信支付订单号",
            &json!(transaction_id),
            &order["transaction_id"],
        )?;
        same("订单金额", &json!(total()), &order["total_fen"])?;
        self.stock_is_right(&held.goods).await?;
        remark(&format!("已支付 {}，库存正确", yuan(total())));
        Ok(())
    }

    /// The same notify once more: order, timeline and stock stay as they are.
    async fn tell_twice(&mut self, held: &Held) -> Result<(), String> {
        let before = self.snapshot(held).await?;
        let path = format!("/sandbox/notifies/{}/resend", held.order_no);
        let ask = Ask::post(self.wechat(&path)).with(json!({}));
        let again = Scene("微信 → 掌柜", "同一个通知再送一遍", 200);
        let told = self.story.step(again, ask).await?;
        same("掌柜收下重复的通知", &json!(true), &told["notify_accepted"])?;
        let after = self.snapshot(held).await?;
        for ((what, before), (_, after)) in before.iter().zip(&after) {
            same(&format!("重复通知之后的{what}"), before, after)?;
        }
        self.stock_is_right(&held.goods).await?;
        remark("订单和库存都没有变，时间线只多记一笔「重复」：通知送几遍都只算一次");
        Ok(())
    }

    /// Everything that a second delivery must not change, each with its name.
    async fn snapshot(&self, held: &Held) -> Result<[(&'static str, Value); 3], String> {
        let (token, key, order_no) = (&held.token, self.place.key, &held.order_no);
        let order = Ask::get(self.shop(&format!("/api/v1/orders/{order_no}"))).by(token);
        let told = Ask::get(self.shop(&format!("/admin/v1/orders/{order_no}"))).by(key);
        let goods = Ask::get(self.shop("/admin/v1/goods")).by(key);
        let mut told = self.story.look(told).await?;
        let Some(events) = told["events"].as_array_mut().filter(|all| !all.is_empty()) else {
            return Err("时间线是空的，应记下了下单和支付".to_owned());
        };
        // That it came again is told; nothing else may be.
        events.retain(|event| event["kind"] != "notify.repeated");
        Ok([
            ("订单", self.story.look(order).await?),
            ("订单时间线", told),
            ("库存", self.story.look(goods).await?),
        ])
    }

    /// Whether every kind of goods has what it had, less what was bought.
    async fn stock_is_right(&self, goods: &[u64]) -> Result<(), String> {
        for (at, (id, sample)) in goods.iter().zip(GOODS).enumerate() {
            let ask = Ask::get(self.shop(&format!("/api/v1/goods/{id}")));
            let found = number(&self.story.look(ask).await?, "stock")?;
            let wanted = sample.stock - bought(at);
            same(&format!("「{}」的库存", sample.title), &wanted, &found)?;
        }
        Ok(())
    }

    /// Tells what the shop asked of WeChat in between, and WeChat's verdict.
    async fn called_wechat(&self, path: &str) -> Result<(), String> {
        let seen = self
            .story
            .look(Ask::get(self.wechat("/sandbox/requests")))
            .await?;
        let newest = &seen["requests"][0];
        same("掌柜对微信的调用", &json!(path), &newest["path"])?;
        same("微信的判定", &json!("OK"), &newest["verdict"])?;
        let method = text(newest, "method")?;
        remark(&format!("其间 掌柜 → 微信  {method} {path}，微信核对无误"));
        Ok(())
    }
}
