//! What the doctor found: one thing looked at, how it ends, what mends it. Chinese first.

use std::fmt;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The configuration as such.
    Config,
    /// Everything before paying.
    Login,
    /// Paying.
    Pay,
    /// The way between WeChat and us.
    Network,
    /// The machine the data lies on.
    Machine,
}

/// How a finding ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to do.
    Good,
    /// Nothing is broken, but it should be known: exit 0.
    Notice,
    /// Something must be filled in: exit 1.
    Missing,
    /// The world does not fit the configuration: exit 1.
    Broken,
    /// Something in the configuration is wrong: exit 2.
    Wrong,
}

/// The same words in Chinese and in English.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub topic: Topic,
    /// How it ends.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: Words,
    /// What mends it; empty when nothing has to be done.
    pub remedy: Words,
}

/// `zh` and `en` together.
pub(super) fn words(zh: impl Into<String>, en: impl Into<String>) -> Words {
    Words {
        zh: zh.into(),
        en: en.into(),
    }
}

impl Finding {
    /// Nothing to do.
    pub fn good(topic: Topic, seen: Words) -> Self {
        Self {
            topic,
            verdict: Verdict::Good,
            seen,
            remedy: Words::default(),
        }
    }

    /// The world does not fit the configuration.
    pub fn broken(topic: Topic, seen: Words, remedy: Words) -> Self {
        Self {
            topic,
            verdict: Verdict::Broken,
            seen,
            remedy,
        }
    }

    /// Worth knowing.
    pub fn notice(topic: Topic, seen: Words, remedy: Words) -> Self {
        Self {
            verdict: Verdict::Notice,
            ..Self::broken(topic, seen, remedy)
        }
    }

    /// Whether it makes the doctor's exit code one.
    pub fn is_red(&self) -> bool {
        match self.verdict {
            Verdict::Good | Verdict::Notice => false,
            Verdict::Missing | Verdict::Broken | Verdict::Wrong => true,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topic = match self.topic {
            Topic::Config => "配置",
            Topic::Login => "登录",
            Topic::Pay => "支付",
            Topic::Network => "网络",
            Topic::Machine => "主机",
        };
        let mark = match self.verdict {
            Verdict::Good => "[好]",
            Verdict::Notice => "[注意]",
            Verdict::Missing => "[缺]",
            Verdict::Broken => "[坏]",
            Verdict::Wrong => "[错]",
        };
        let Self { seen, remedy, .. } = self;
        write!(f, "{mark} {topic}  {}", seen.zh)?;
        if !remedy.zh.is_empty() {
            write!(f, "。处理：{}。", remedy.zh)?;
        }
        write!(f, "\n     {}", seen.en)?;
        if !remedy.en.is_empty() {
            write!(f, ". Fix: {}.", remedy.en)?;
        }
        Ok(())
    }
}
