use super::*;
use crate::base::Clock;
use crate::base::Secret;
use crate::base::hash::sha1_hex;
use crate::base::rsa::PrivateKey;
use crate::model::reconcile::BillRow;
use crate::wechat::bill_rows::tests::{BILLS, expected};
use crate::wechat::peer::{KEY, Peer, body, header, http, signed_json, wechat};
use crate::wechat::v2::sign::verifies;
use crate::wechat::v3::Keyring;

fn day() -> Day {
    "2026-01-01".parse().unwrap()
}

async fn fetched(peer: &Peer, version: Version, ring: Keyring) -> Result<Fetched, WechatError> {
    let spool = tempfile::tempdir().unwrap();
    let (wechat, clock) = (wechat(&peer.base, version, ring), Clock::system());
    let fetched = wechat.bill(day(), spool.path(), &Trace::new(&clock)).await;
    let left = std::fs::read_dir(spool.path()).unwrap().count();
    assert_eq!(left, 0, "a bill is left lying about");
    fetched
}

fn rows(fetched: Fetched) -> Vec<BillRow> {
    let Fetched::Bill(mut bill) = fetched else {
        panic!("{fetched:?} is no bill");
    };
    let mut rows = vec![];
    let read = bill.file.rows(&mut |row| {
        rows.push(row);
        true
    });
    read.unwrap();
    assert_eq!(u64::try_from(rows.len()), Ok(bill.rows));
    rows
}

#[tokio::test]
async fn a_v2_bill_is_asked_for_with_a_signature_and_told_from_an_error_by_its_content() {
    let xml = |said: &str| {
        http(
            200,
            "",
            &format!("<xml><return_msg>{said}</return_msg></xml>"),
        )
    };
    let answers = vec![
        http(200, "", BILLS[0].1),
        xml("No Bill Exist"),
        xml("Bill Creating"),
        xml("sign error"),
        xml("SYSTEMERROR"),
        http(502, "", BILLS[0].1),
        http(200, "", &BILLS[0].1[..900]),
    ];
    let peer = Peer::with(|_| answers);
    let ask = || fetched(&peer, Version::V2, Keyring::default());
    assert_eq!(rows(ask().await.unwrap()), expected(true, true));
    assert!(matches!(ask().await, Ok(Fetched::Empty)));
    assert!(matches!(ask().await, Ok(Fetched::NotReady)));
    let refused = ask().await.unwrap_err();
    assert_eq!(refused.cause(), Some(Cause::Config));
    assert!(ask().await.is_err());
    for what in ["a bill under another status", "a bill that was cut"] {
        assert!(
            matches!(ask().await, Err(WechatError::Unknown(_))),
            "{what}"
        );
    }
    let heard = &peer.heard()[0];
    assert!(heard.starts_with("POST /pay/downloadbill HTTP/1.1"));
    let fields = Fields::parse(body(heard).as_bytes(), "xml").unwrap();
    assert!(verifies(&fields, &Secret::from(KEY), SignType::Md5));
    let named = ["bill_date", "bill_type", "tar_type", "appid", "mch_id"].map(|n| fields.text(n));
    assert_eq!(
        named,
        [
            "20260101",
            "ALL",
            "GZIP",
            "wx8888888888888888",
            "1900000109"
        ]
    );
}

/// What comes of a v3 bill behind a link made by `link` for the peer's base.
async fn linked(
    link: impl FnOnce(&str) -> (String, String),
    bill: &str,
) -> (Peer, Result<Fetched, WechatError>) {
    let key = PrivateKey::generate();
    let ring = Keyring::default().with_public_key("PUB_KEY_ID_1", key.public());
    let peer = Peer::with(|base| {
        let (url, hash) = link(base);
        let answer = serde_json::json!({
            "hash_type": "SHA1", "hash_value": hash, "download_url": url,
        });
        vec![
            signed_json(200, &key, &answer.to_string()),
            http(200, "", bill),
        ]
    });
    let fetched = fetched(&peer, Version::V3, ring).await;
    (peer, fetched)
}

const TOKEN: &str = "/v3/billdownload/file?token=a%2Bb+c/d==&tartype=gzip";

#[tokio::test]
async fn a_v3_bill_is_downloaded_byte_for_byte_where_the_signed_answer_says() {
    let bill = BILLS[0].1;
    let link = |base: &str| (format!("{base}{TOKEN}"), sha1_hex(bill.as_bytes()));
    let (peer, fetched) = linked(link, bill).await;
    assert_eq!(rows(fetched.unwrap()), expected(true, true));
    let heard = peer.heard();
    let apply = "/v3/bill/tradebill?bill_date=2026-01-01&bill_type=ALL&tar_type=GZIP";
    for (heard, path) in heard.iter().zip([apply, TOKEN]) {
        assert!(
            heard.starts_with(&format!("GET {path} HTTP/1.1\r\n")),
            "{heard}"
        );
        let signed = header(heard, "authorization").unwrap();
        assert!(signed.starts_with("WECHATPAY2-SHA256-RSA2048 "), "{signed}");
    }
}

#[tokio::test]
async fn a_v3_bill_of_another_hash_or_on_another_host_is_not_used() {
    let bill = BILLS[0].1;
    let right = sha1_hex(bill.as_bytes());
    let altered = bill.replacen("`88.88", "`88.89", 2);
    let link = |base: &str| (format!("{base}{TOKEN}"), right.clone());
    let (_, fetched) = linked(link, &altered).await;
    let Err(WechatError::Unknown(why)) = fetched else {
        panic!("{fetched:?}");
    };
    assert!(why.contains("SHA-1"), "{why}");
    for host in [
        "http://127.0.0.1:1",
        "http://evil.example",
        "BASE.evil.example",
        "BASE@evil",
    ] {
        let url = |base: &str| format!("{}{TOKEN}", host.replace("BASE", base));
        let (peer, fetched) = linked(|base| (url(base), right.clone()), bill).await;
        assert!(matches!(fetched, Err(WechatError::Unknown(_))), "{host}");
        assert_eq!(peer.heard().len(), 1, "{host} was asked");
    }
}

#[tokio::test]
async fn a_v3_day_without_a_bill_is_empty_or_for_later() {
    // The number behind a request id that says "illegal parameter" does not overrule the code.
    let id = "Request-ID: 08F2-268435461\r\n";
    let said = |code: &str| http(400, id, &format!(r#"{{"code":"{code}","message":"m"}}"#));
    let answers = ["NO_STATEMENT_EXIST", "STATEMENT_CREATING", "PARAM_ERROR"].map(said);
    let peer = Peer::with(|_| answers.to_vec());
    let ask = || fetched(&peer, Version::V3, Keyring::default());
    assert!(matches!(ask().await, Ok(Fetched::Empty)));
    assert!(matches!(ask().await, Ok(Fetched::NotReady)));
    assert!(matches!(ask().await, Err(WechatError::Refused(_))));
}
