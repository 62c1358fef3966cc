//! The forms of fields that both protocols share: order numbers and notify URLs.

/// 6 to 32 of `A–Z a–z 0–9 _ - | *`. Source: 微信支付 APIv3 · JSAPI/小程序下单, out_trade_no.
pub(super) fn is_out_trade_no(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-|*".contains(&b);
    (6..=32).contains(&text.len()) && text.bytes().all(allowed)
}

/// 1 to 64 of `A–Z a–z 0–9 _ - | * @`. Source: 微信支付 APIv3 · 申请退款, out_refund_no.
pub(super) fn is_out_refund_no(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-|*@".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// An http(s) URL with a host and a path, without query or fragment.
///
/// Loopback is let through: the simulator serves servers that are not public.
/// Source: 微信支付 APIv2 · 统一下单, notify_url; 微信支付 APIv3 · 回调通知注意事项.
pub(super) fn is_notify_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let Some((host, path)) = rest.and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b"?#<>\"\\".contains(&b));
    plain && !host.is_empty() && !host.contains('@') && !path.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_url_with_host_and_path_takes_notifies() {
        let good = [
            "https://shop.example.com/wx/pay/notify",
            "http://127.0.0.1:8080/wx/pay/notify",
            "http://[::1]:80/n",
        ];
        for url in good {
            assert!(is_notify_url(url), "{url}");
        }
        let bad = [
            "",
            "shop.example.com/n",
            "ftp://shop.example.com/n",
            "https://shop.example.com",
            "https://shop.example.com/",
            "https:///n",
            "https://shop.example.com/n?order=1",
            "https://shop.example.com/n#top",
            "https://a@shop.example.com/n",
            "https://shop.example.com/回调",
            "https://shop.example.com/a b",
        ];
        for url in bad {
            assert!(!is_notify_url(url), "{url}");
        }
    }

    #[test]
    fn an_order_number_has_its_alphabet_and_length() {
        for number in ["A_-|*1", &"9".repeat(32), "20260101000X9G000000000000_2"] {
            assert!(is_out_trade_no(number), "{number}");
        }
        for number in [
            "",
            "12345",
            &"9".repeat(33),
            "12345@",
            "123 456",
            "１２３４５６",
            "a.b.c.d",
        ] {
            assert!(!is_out_trade_no(number), "{number}");
        }
    }
}
