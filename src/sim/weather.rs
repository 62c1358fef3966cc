//! What goes wrong on the wires of one history, decided by its seed.

use std::time::Duration;

use super::random::Random;
use crate::base::trial;

/// Between whom a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wires {
    /// A buyer or the merchant asks the shop.
    ToShop,
    /// The shop asks WeChat.
    ToWechat,
    /// WeChat tells the shop.
    FromWechat,
}

/// What becomes of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mishap {
    /// It goes through, after so long.
    None(Duration),
    /// Nothing is there to connect to.
    Refused,
    /// It never arrives, and nobody is told.
    LostBefore,
    /// It arrives and is worked on; the answer never comes back.
    LostAfter,
    /// It arrives twice.
    Twice,
    /// It arrives so late that the sender has given up.
    Late(Duration),
}

impl Wires {
    const fn word(self) -> &'static str {
        match self {
            Self::ToShop => "to-shop",
            Self::ToWechat => "to-wechat",
            Self::FromWechat => "from-wechat",
        }
    }
}

impl Mishap {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::None(_) => "through",
            Self::Refused => "refused",
            Self::LostBefore => "lost-before",
            Self::LostAfter => "lost-after",
            Self::Twice => "twice",
            Self::Late(_) => "late",
        }
    }
}

/// How the wires are at present.
#[derive(Clone, Debug, Default)]
pub(super) struct Weather {
    /// How many messages of a hundred meet with a mishap.
    pub(super) rough_percent: u64,
    /// How many more messages do not reach WeChat at all.
    pub(super) outage: u64,
}

impl Weather {
    pub(super) fn mishap(&mut self, on: Wires, random: &mut Random) -> Mishap {
        let mishap = self.draw(on, random);
        trial::met(format!("fault wire {} {}", on.word(), mishap.word()));
        mishap
    }

    fn draw(&mut self, on: Wires, random: &mut Random) -> Mishap {
        if self.outage > 0 && on == Wires::ToWechat {
            self.outage -= 1;
            return Mishap::Refused;
        }
        if !random.percent(self.rough_percent) {
            return Mishap::None(random.within_ms(40));
        }
        match random.below(5) {
            0 => Mishap::Refused,
            1 => Mishap::LostBefore,
            2 => Mishap::LostAfter,
            3 => Mishap::Twice,
            _ => Mishap::Late(Duration::from_secs(4 + random.below(40))),
        }
    }
}
