//! What the keys of one subscribe message must be together: a template asks for its fields.

use super::fault::FaultKind;
use super::settle::Settled;

const MESSAGES: &str = "wechat.messages";

/// Adds the faults that only show when keys are seen together.
pub(super) fn check(settled: &mut Settled) {
    for (template, fields) in [
        ("paid_template", "paid_fields"),
        ("shipped_template", "shipped_fields"),
    ] {
        let chosen = settled.text(MESSAGES, template).map(|id| !id.is_empty());
        let listed = settled.list(MESSAGES, fields).map(|list| !list.is_empty());
        let (name, cause, remedy) = match (chosen, listed) {
            (Some(true), Some(false)) => {
                let remedy = "写模板每个字段的来源，如 [\"thing1=title\"]";
                (fields, "填了模板 ID，却没有字段对应", remedy)
            }
            (Some(false), Some(true)) => {
                let remedy = "写小程序后台“订阅消息”里的模板 ID，或清空字段";
                (template, "填了字段对应，却没有模板 ID", remedy)
            }
            (Some(_), Some(_)) | (None, _) | (_, None) => continue,
        };
        settled.add((MESSAGES, name), FaultKind::Missing, (cause, remedy));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{least, of, seen};
    use super::super::{FaultKind, Place};
    use crate::wechat::subscribe::Release;

    fn with(lines: &str) -> String {
        format!("{}[wechat.messages]\n{lines}", least())
    }

    #[test]
    fn a_template_and_its_fields_go_together() {
        let config = of(&with(
            "paid_template = \"T1\"\npaid_page = \"pages/order/order?no={order_no}\"\n\
             paid_fields = [\"thing1=title\", \"amount2=total\", \"phrase3=text:已付款\"]\n\
             release = \"trial\"\n",
        ));
        let messages = config.unwrap().messages;
        let paid = messages.paid.unwrap();
        assert_eq!((paid.id.as_str(), paid.fields.len()), ("T1", 3));
        assert_eq!((messages.shipped, messages.release), (None, Release::Trial));
        assert!(of(&least()).unwrap().messages.paid.is_none());
    }

    #[test]
    fn every_fault_of_a_message_is_named() {
        use FaultKind::{Missing, Range, Type};
        let text = with(
            "paid_template = \"T1\"\nshipped_fields = [\"thing1=title\"]\n\
             paid_page = \"/pages/a\"\nshipped_page = 1\nrelease = \"beta\"\n",
        );
        let faults = of(&text).unwrap_err();
        let at = |line| Place::Line(line);
        assert_eq!(
            seen(&faults),
            [
                (at(8), "[wechat.messages] paid_fields", Missing),
                (at(8), "[wechat.messages] shipped_template", Missing),
                (at(11), "[wechat.messages] paid_page", Range),
                (at(12), "[wechat.messages] shipped_page", Type),
                (at(13), "[wechat.messages] release", Range),
            ]
        );
        for field in [
            "thing1",
            "thing1=",
            "=title",
            "thing1=name",
            "thingx=title",
            "thing1=text:",
        ] {
            let text = with(&format!(
                "paid_template = \"T\"\npaid_fields = [\"{field}\"]\n"
            ));
            let faults = of(&text).unwrap_err();
            let want = [(at(10), "[wechat.messages] paid_fields", Range)];
            assert_eq!(seen(&faults), want, "{field}");
        }
    }
}
