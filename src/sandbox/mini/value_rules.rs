//! What may stand under each kind of key of a subscribe message. Pure.
//!
//! Source: 小程序 · 发送订阅消息, 订阅消息参数值内容限制说明.

/// Whether `value` keeps the rule of `key`, such as `thing1` or `amount12`.
pub(super) fn fits(key: &str, value: &str) -> bool {
    let kind = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let length = value.chars().count();
    let plain = !value.is_empty() && !value.chars().any(char::is_control);
    plain
        && match kind {
            "thing" => length <= 20,
            "number" => length <= 32 && is_number(value),
            "letter" => length <= 32 && value.chars().all(|c| c.is_ascii_alphabetic()),
            "character_string" => length <= 32 && value.chars().all(|c| c.is_ascii_graphic()),
            "symbol" => length <= 5 && !value.chars().any(char::is_alphanumeric),
            "time" => value.split('~').all(is_time),
            "date" => value.split('~').all(is_date),
            "amount" => is_amount(value),
            "phone_number" => length <= 17 && value.chars().all(|c| "0123456789+-".contains(c)),
            "car_number" => length <= 8,
            "name" => is_name(value),
            "phrase" => length <= 5 && value.chars().all(is_chinese),
            "enum" => true,
            _ => false,
        }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Digits, at most one point between them.
fn is_number(text: &str) -> bool {
    match text.split_once('.') {
        None => digits(text),
        Some((whole, part)) => digits(whole) && digits(part),
    }
}

/// One currency sign at most, ten digits at most, 元 at most once at the end.
fn is_amount(text: &str) -> bool {
    let bare = text.trim_start_matches(['¥', '￥', '$']);
    let signs = text.chars().count() - bare.chars().count();
    let bare = bare.strip_suffix('元').unwrap_or(bare);
    let count = bare.bytes().filter(u8::is_ascii_digit).count();
    signs <= 1 && is_number(bare) && count <= 10
}

/// At most ten characters in Chinese (or mixed), at most twenty in Latin letters or symbols.
fn is_name(text: &str) -> bool {
    let length = text.chars().count();
    let digit = text.chars().any(|c| c.is_ascii_digit());
    match text.is_ascii() {
        true => length <= 20 && !digit,
        false => length <= 10 && !digit,
    }
}

fn is_chinese(c: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&c)
}

/// `15:01`, `15:01:30`, or one of these after a date.
fn is_time(text: &str) -> bool {
    let text = text.trim_matches(' ');
    match text.split_once(' ') {
        Some((date, clock)) => is_day(date) && is_clock(clock),
        None => is_clock(text),
    }
}

/// A day, alone or with a time.
fn is_date(text: &str) -> bool {
    let text = text.trim_matches(' ');
    is_day(text) || text.split_once(' ').is_some() && is_time(text)
}

fn is_clock(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let two = |part: &&str| part.len() == 2 && digits(part);
    let hour = parts.first().is_some_and(|hour| *hour < "24");
    (2..=3).contains(&parts.len()) && parts.iter().all(two) && hour
}

/// `2019年10月1日` or `2019-10-01`.
fn is_day(text: &str) -> bool {
    let chinese = text.strip_suffix('日').and_then(|text| {
        let (year, rest) = text.split_once('年')?;
        let (month, day) = rest.split_once('月')?;
        Some([year, month, day])
    });
    let dashed = || {
        let (year, rest) = text.split_once('-')?;
        let (month, day) = rest.split_once('-')?;
        Some([year, month, day])
    };
    let Some([year, month, day]) = chinese.or_else(dashed) else {
        return false;
    };
    let within = |part: &str, most: u8| {
        let number = part.parse::<u8>().unwrap_or(0);
        (1..=2).contains(&part.len()) && digits(part) && (1..=most).contains(&number)
    };
    year.len() == 4 && digits(year) && within(month, 12) && within(day, 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_key_takes_what_its_rule_allows() {
        let long = "茶".repeat(20);
        let table = [
            ("thing1", long.as_str()),
            ("number2", "12.50"),
            ("letter3", "abcXYZ"),
            ("character_string4", "20260101000X9G-1"),
            ("symbol5", "**"),
            ("time6", "15:01"),
            ("time6", "2019年10月1日 15:01"),
            ("time6", "2019-10-01 15:01:30"),
            ("date7", "2019-10-01"),
            ("date7", "2019年10月1日~2019年10月7日"),
            ("amount8", "¥59.80元"),
            ("amount8", "￥1234567890"),
            ("phone_number9", "+86-0766-66888866"),
            ("car_number10", "粤A8Z888挂"),
            ("name11", "欧阳娜娜"),
            ("name11", "Ada Lovelace"),
            ("phrase12", "配送中"),
            ("enum13", "任意"),
        ];
        for (key, value) in table {
            assert!(fits(key, value), "{key} {value}");
        }
    }

    #[test]
    fn each_kind_of_key_refuses_what_breaks_its_rule() {
        let (long, digits) = ("茶".repeat(21), "1".repeat(33));
        let table = [
            ("thing1", long.as_str()),
            ("thing1", ""),
            ("thing1", "一行\n两行"),
            ("number2", digits.as_str()),
            ("number2", "12元"),
            ("letter3", "abc1"),
            ("character_string4", "订单1"),
            ("character_string4", digits.as_str()),
            ("symbol5", "******"),
            ("time6", "3:01"),
            ("time6", "24:00"),
            ("time6", "2019-13-01 15:01"),
            ("date7", "15:01"),
            ("date7", "2019/10/01"),
            ("amount8", "¥¥5"),
            ("amount8", "12345678901"),
            ("amount8", "五元"),
            ("phone_number9", "138 1234 5678"),
            ("car_number10", "粤A8Z888888"),
            ("name11", "一二三四五六七八九十一"),
            ("name11", "Ada 2"),
            ("phrase12", "正在配送中了"),
            ("phrase12", "ok"),
            ("other1", "x"),
        ];
        for (key, value) in table {
            assert!(!fits(key, value), "{key} {value}");
        }
    }
}
