//! The usual wrong ways to make a `paySign`. Each is tried until one explains what came.

use data_encoding::BASE64;

use super::credentials::{Credentials, Keys};
use super::pay_params::{PayParams, Wrong, wrong};
use super::sign_v2::{SignType, joined};
use super::sign_v3::{lines, pay_string};
use crate::base::Secret;

/// Names and values in the order they would be sent.
#[derive(Clone)]
struct Pairs(Vec<(&'static str, String)>);

impl Pairs {
    fn right(params: &PayParams<'_>, credentials: &Credentials) -> Self {
        Self(vec![
            ("appId", credentials.appid.to_string()),
            ("timeStamp", params.time_stamp.to_owned()),
            ("nonceStr", params.nonce_str.to_owned()),
            ("package", params.package.to_owned()),
            ("signType", params.sign_type.to_owned()),
        ])
    }

    fn without(mut self, name: &str) -> Self {
        self.0.retain(|pair| pair.0 != name);
        self
    }

    fn with(self, name: &'static str, value: impl Into<String>) -> Self {
        let mut pairs = self.without(name);
        pairs.0.push((name, value.into()));
        pairs
    }

    fn renamed(mut self, from: &str, to: &'static str) -> Self {
        for pair in &mut self.0 {
            if pair.0 == from {
                pair.0 = to;
            }
        }
        self
    }

    fn sorted(&self) -> String {
        joined(self.0.iter().map(|(name, value)| (*name, value.as_str())))
    }

    fn unsorted(&self) -> String {
        let pairs: Vec<_> = self.0.iter().map(|(n, v)| format!("{n}={v}")).collect();
        pairs.join("&")
    }
}

/// The string whose digest is a right v2 `paySign`. Source: 微信支付 APIv2 · 小程序调起支付.
pub(super) fn right_string_v2(params: &PayParams<'_>, credentials: &Credentials) -> String {
    let string = Pairs::right(params, credentials).sorted();
    keyed(&string, &credentials.v2_key)
}

/// The string a right v3 `paySign` signs. Source: 微信支付 APIv3 · 小程序调起支付.
pub(super) fn right_string_v3(params: &PayParams<'_>, credentials: &Credentials) -> Vec<u8> {
    let appid = credentials.appid.as_str();
    pay_string(appid, params.time_stamp, params.nonce_str, params.package)
}

fn keyed(string: &str, key: &Secret<String>) -> String {
    format!("{string}&key={}", key.reveal())
}

fn suspect(chinese: &str, english: &str) -> Wrong {
    wrong("paySign", chinese, english)
}

/// Finds what a wrong v2 `paySign` was made of.
pub(super) fn explain_v2(
    params: &PayParams<'_>,
    credentials: &Credentials,
    sign_type: SignType,
) -> Wrong {
    let decoded = BASE64.decode(params.pay_sign.as_bytes());
    if decoded.is_ok_and(|raw| raw.len() >= 256) {
        let english = "paySign is an RSA signature (v3), but the order was placed with v2";
        return suspect("paySign 是 v3 的 RSA 签名，而订单用 v2 下单", english);
    }
    let given = params.pay_sign.to_ascii_uppercase();
    let is = |string: &str, by: SignType| by.digest(string, &credentials.v2_key) == given;
    let right = right_string_v2(params, credentials);
    if is(&right, sign_type) {
        let english = "paySign is lower-case hexadecimal; it must be upper case";
        return suspect("paySign 是小写，应转为大写", english);
    }
    let other = match sign_type {
        SignType::Md5 => SignType::HmacSha256,
        SignType::HmacSha256 => SignType::Md5,
    };
    if is(&right, other) {
        let (used, said) = (other.name(), sign_type.name());
        let chinese = format!("实际用了 {used} 签名，而 signType 是 {said}");
        return suspect(
            &chinese,
            &format!("signed with {used}, but signType says {said}"),
        );
    }
    wrong_strings_v2(params, credentials)
        .into_iter()
        .find(|(string, _)| is(string, sign_type) || is(string, other))
        .map(|(_, wrong)| wrong)
        .unwrap_or_else(|| wrong_key_v2(params, credentials, sign_type))
}

fn wrong_strings_v2(params: &PayParams<'_>, credentials: &Credentials) -> Vec<(String, Wrong)> {
    let right = Pairs::right(params, credentials);
    let mut found = vec![
        (
            right.sorted(),
            suspect(
                "待签名串末尾缺少 &key=商户密钥",
                "&key= is missing from the signed string",
            ),
        ),
        (
            keyed(&right.unsorted(), &credentials.v2_key),
            suspect(
                "字段没有按 ASCII 排序",
                "the fields were not sorted by name",
            ),
        ),
    ];
    let variants = [
        left_out(&right),
        renamed(&right),
        other_values(&right, params, credentials),
    ];
    let keyed = variants
        .into_iter()
        .flatten()
        .map(|(pairs, wrong)| (keyed(&pairs.sorted(), &credentials.v2_key), wrong));
    found.extend(keyed);
    found
}

fn left_out(right: &Pairs) -> Vec<(Pairs, Wrong)> {
    let without = |name: &str| {
        let chinese = format!("待签名串缺少 {name}");
        let english = format!("{name} is missing from the signed string");
        (right.clone().without(name), suspect(&chinese, &english))
    };
    right.0.iter().map(|(name, _)| without(name)).collect()
}

/// Source of the names: 小程序 uses camel case, 统一下单 and the older JS bridge do not.
const WRONG_NAMES: [(&str, &str); 6] = [
    ("appId", "appid"),
    ("timeStamp", "timestamp"),
    ("nonceStr", "nonce_str"),
    ("nonceStr", "noncestr"),
    ("signType", "sign_type"),
    ("signType", "signtype"),
];

fn renamed(right: &Pairs) -> Vec<(Pairs, Wrong)> {
    let wrong_name = |(from, to): (&'static str, &'static str)| {
        let chinese = format!("待签名串中的 {to} 应写作 {from}（区分大小写）");
        let english = format!("{to} in the signed string must be spelled {from}");
        (right.clone().renamed(from, to), suspect(&chinese, &english))
    };
    let mut found: Vec<_> = WRONG_NAMES.into_iter().map(wrong_name).collect();
    let lower = [
        WRONG_NAMES[0],
        WRONG_NAMES[1],
        WRONG_NAMES[3],
        WRONG_NAMES[5],
    ];
    let all_lower = lower
        .into_iter()
        .fold(right.clone(), |pairs, (from, to)| pairs.renamed(from, to));
    let english = "the names in the signed string are lower case: appId, timeStamp, nonceStr, …";
    let chinese = "待签名串中的字段名是小写，应为 appId、timeStamp、nonceStr、signType";
    found.push((all_lower, suspect(chinese, english)));
    found
}

fn other_values(
    right: &Pairs,
    params: &PayParams<'_>,
    credentials: &Credentials,
) -> Vec<(Pairs, Wrong)> {
    let prepay_id = params.package.trim_start_matches("prepay_id=");
    let with = |name, value: String| right.clone().with(name, value);
    let mchid = credentials.mchid.as_str();
    vec![
        (with("package", prepay_id.to_owned()), no_prefix()),
        (
            with("package", format!("prepay_id%3D{prepay_id}")),
            suspect(
                "package 在签名前被 URL 编码",
                "package was URL-encoded before signing",
            ),
        ),
        (
            with("timeStamp", format!("{}000", params.time_stamp)),
            milliseconds(),
        ),
        (
            with("signType", "RSA".to_owned()),
            suspect(
                "签名时 signType 用了 RSA",
                "signType was RSA in the signed string",
            ),
        ),
        (
            with("signType", "MD5".to_owned()),
            suspect(
                "签名时 signType 用了 MD5",
                "signType was MD5 in the signed string",
            ),
        ),
        (
            with("signType", "HMAC-SHA256".to_owned()),
            suspect(
                "签名时 signType 用了 HMAC-SHA256",
                "signType was HMAC-SHA256 when signing",
            ),
        ),
        (with("appId", mchid.to_owned()), wrong_appid()),
        (with("mch_id", mchid.to_owned()), extra("mch_id")),
        (with("partnerid", mchid.to_owned()), extra("partnerid")),
        (with("prepay_id", prepay_id.to_owned()), extra("prepay_id")),
        (with("prepayid", prepay_id.to_owned()), extra("prepayid")),
    ]
}

fn no_prefix() -> Wrong {
    suspect(
        "签名时 package 缺少 \"prepay_id=\" 前缀",
        "package was signed without its prepay_id= prefix",
    )
}

fn milliseconds() -> Wrong {
    suspect(
        "签名时 timeStamp 用了毫秒",
        "timeStamp was in milliseconds when signing",
    )
}

fn wrong_appid() -> Wrong {
    suspect(
        "签名时 appId 用了商户号",
        "the mchid was signed in place of appId",
    )
}

fn extra(name: &str) -> Wrong {
    let chinese = format!("待签名串多了 {name}");
    suspect(
        &chinese,
        &format!("{name} must not be in the signed string"),
    )
}

fn wrong_key_v2(params: &PayParams<'_>, credentials: &Credentials, sign_type: SignType) -> Wrong {
    let given = params.pay_sign.to_ascii_uppercase();
    let string = Pairs::right(params, credentials).sorted();
    let keys = [
        (&credentials.v3_key, "APIv3 密钥", "APIv3 key"),
        (&credentials.secret, "AppSecret", "AppSecret"),
    ];
    for (key, chinese, english) in keys {
        if sign_type.digest(&keyed(&string, key), key) == given {
            let chinese = format!("用了{chinese}签名，应为 APIv2 密钥");
            let english = format!("signed with the {english}; it must be the APIv2 key");
            return suspect(&chinese, &english);
        }
    }
    let hex = match sign_type {
        SignType::Md5 => 32,
        SignType::HmacSha256 => 64,
    };
    if given.len() != hex {
        let (chinese, name) = (format!("paySign 应为 {hex} 位十六进制"), sign_type.name());
        return suspect(
            &chinese,
            &format!("a {name} paySign has {hex} hexadecimal digits"),
        );
    }
    suspect(
        "paySign 不对：请检查 APIv2 密钥、appId，以及签名后字段是否被改动",
        "paySign does not match: check the APIv2 key, appId, and that no field changed afterwards",
    )
}

/// Finds what a wrong v3 `paySign` signed.
pub(super) fn explain_v3(params: &PayParams<'_>, credentials: &Credentials, keys: &Keys) -> Wrong {
    let hex = params.pay_sign.bytes().all(|b| b.is_ascii_hexdigit());
    if hex && [32, 64].contains(&params.pay_sign.len()) {
        let english = "paySign is a v2 digest (MD5 or HMAC-SHA256); v3 needs an RSA signature";
        return suspect("paySign 是 v2 的摘要，v3 应为 RSA 签名", english);
    }
    if BASE64.decode(params.pay_sign.as_bytes()).is_err() {
        let english = "paySign is not standard base64";
        return suspect("paySign 不是标准 Base64", english);
    }
    wrong_strings_v3(params, credentials)
        .into_iter()
        .find(|(string, _)| keys.merchant.verifies(string, params.pay_sign))
        .map(|(_, wrong)| wrong)
        .unwrap_or_else(|| {
            suspect(
                "paySign 不对：请检查是否用下单的商户私钥签名，以及签名后字段是否被改动",
                "paySign does not match: check that the merchant key of the order signed it, and \
                 that nothing changed after signing",
            )
        })
}

fn wrong_strings_v3(params: &PayParams<'_>, credentials: &Credentials) -> Vec<(Vec<u8>, Wrong)> {
    let right = right_string_v3(params, credentials);
    let (appid, mchid) = (credentials.appid.as_str(), credentials.mchid.as_str());
    let (time, nonce, package) = (params.time_stamp, params.nonce_str, params.package);
    let prepay_id = package.trim_start_matches("prepay_id=");
    let of = |parts: &[&str]| lines(&parts.iter().map(|p| p.as_bytes()).collect::<Vec<_>>());
    let crlf = String::from_utf8_lossy(&right).replace('\n', "\r\n");
    let v2 = right_string_v2(params, credentials);
    let ms = format!("{time}000");
    vec![
        (
            right[..right.len() - 1].to_vec(),
            suspect(
                "待签名串最后一行缺少换行符",
                "the last line of the signed string lacks its LF",
            ),
        ),
        (
            crlf.into_bytes(),
            suspect(
                "换行符用了 CRLF，应为 LF",
                "lines end in CRLF; they must end in LF",
            ),
        ),
        (of(&[appid, time, nonce, prepay_id]), no_prefix()),
        (
            of(&[time, nonce, package]),
            suspect(
                "待签名串缺少 appId",
                "appId is missing from the signed string",
            ),
        ),
        (of(&[appid, time, nonce, package, "RSA"]), extra("signType")),
        (of(&[appid, &ms, nonce, package]), milliseconds()),
        (of(&[mchid, time, nonce, package]), wrong_appid()),
        (
            of(&[appid, nonce, time, package]),
            suspect(
                "timeStamp 与 nonceStr 顺序颠倒",
                "timeStamp and nonceStr are swapped",
            ),
        ),
        (
            v2.into_bytes(),
            suspect(
                "用了 v2 的待签名串",
                "the v2 string was signed; v3 signs four lines",
            ),
        ),
    ]
}
