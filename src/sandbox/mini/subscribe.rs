//! Subscribe messages: who accepted which template, and what may stand in one. Pure.
//!
//! Source: 小程序 · 发送订阅消息 (subscribeMessage.send).

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::value_rules::fits;
use crate::base::Timestamp;
use crate::sandbox::login::{Errcode, err};

const INVALID_OPENID: Errcode = err(40003, "invalid openid");
const INVALID_TEMPLATE: Errcode = err(40037, "invalid template_id");
const NOT_SUBSCRIBED: Errcode = err(43101, "user refuse to accept the msg");
const BAD_VALUE: Errcode = err(47003, "argument invalid! a value breaks its rule");
const BAD_STATE: Errcode = err(47003, "argument invalid! miniprogram_state or lang");
/// How many messages are remembered.
const KEPT: usize = 1000;

/// The body of `message/subscribe/send`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SendForm {
    touser: String,
    template_id: String,
    page: String,
    data: HashMap<String, Shown>,
    miniprogram_state: Option<String>,
    lang: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Shown {
    value: String,
}

/// A message as the buyer sees it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Received {
    openid: String,
    template_id: String,
    page: String,
    values: Map<String, Value>,
    miniprogram_state: String,
    at: String,
}

/// Templates, acceptances and what was received.
#[derive(Default)]
pub(super) struct Subscriptions {
    /// The keys of each template of this mini program.
    templates: HashMap<String, Vec<String>>,
    accepted: HashMap<(String, String), u32>,
    pub(super) inbox: VecDeque<Received>,
}

impl Subscriptions {
    /// A template of the console, with its keys such as `thing1`.
    pub(super) fn add_template(&mut self, template_id: &str, keys: Vec<String>) {
        self.templates.insert(template_id.to_owned(), keys);
    }

    /// The buyer accepts a template for so many more messages; false when there is no such.
    pub(super) fn accept(&mut self, openid: &str, template_id: &str, times: u32) -> bool {
        let known = self.templates.contains_key(template_id);
        if known {
            let key = (openid.to_owned(), template_id.to_owned());
            let left = self.accepted.entry(key).or_default();
            *left = left.saturating_add(times);
        }
        known
    }

    /// Delivers a message, which uses up one acceptance.
    pub(super) fn send(&mut self, form: SendForm, now: Timestamp) -> Result<(), Errcode> {
        if form.touser.is_empty() {
            return Err(INVALID_OPENID);
        }
        let keys = self.templates.get(&form.template_id);
        check_values(&form, keys.ok_or(INVALID_TEMPLATE)?)?;
        let state = form
            .miniprogram_state
            .unwrap_or_else(|| "formal".to_owned());
        let lang = form.lang.as_deref().unwrap_or("zh_CN");
        let states = ["developer", "trial", "formal"];
        let langs = ["zh_CN", "en_US", "zh_HK", "zh_TW"];
        if !states.contains(&state.as_str()) || !langs.contains(&lang) {
            return Err(BAD_STATE);
        }
        let whose = (form.touser.clone(), form.template_id.clone());
        let left = self.accepted.get_mut(&whose);
        let left = left.filter(|left| **left > 0).ok_or(NOT_SUBSCRIBED)?;
        *left -= 1;
        let values = form.data.into_iter();
        self.inbox.push_back(Received {
            openid: form.touser,
            template_id: form.template_id,
            page: form.page,
            values: values
                .map(|(key, shown)| (key, shown.value.into()))
                .collect(),
            miniprogram_state: state,
            at: now.rfc3339(),
        });
        if self.inbox.len() > KEPT {
            self.inbox.pop_front();
        }
        Ok(())
    }
}

/// Every key of the template has a value that keeps its rule, and there is no other key.
fn check_values(form: &SendForm, keys: &[String]) -> Result<(), Errcode> {
    let right = |key: &String| {
        form.data
            .get(key)
            .is_some_and(|shown| fits(key, &shown.value))
    };
    match keys.iter().all(right) && form.data.len() == keys.len() {
        true => Ok(()),
        false => Err(BAD_VALUE),
    }
}
