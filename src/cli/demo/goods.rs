//! What the demo's shop sells.

/// One kind of goods.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) title: &'static str,
    /// Fen.
    pub(super) price_fen: u64,
    /// Pieces.
    pub(super) stock: u64,
    pub(super) description: &'static str,
}

/// The sample goods.
pub(super) const GOODS: [Sample; 5] = [
    Sample {
        title: "明前龙井 100 克",
        price_fen: 12_800,
        stock: 50,
        description: "西湖产区，清明前采摘",
    },
    Sample {
        title: "手工桂花糕 6 枚",
        price_fen: 3_600,
        stock: 120,
        description: "当日现做，三天内食用",
    },
    Sample {
        title: "青花盖碗",
        price_fen: 19_900,
        stock: 20,
        description: "景德镇，150 毫升",
    },
    Sample {
        title: "云南小粒咖啡豆 250 克",
        price_fen: 6_800,
        stock: 80,
        description: "中度烘焙",
    },
    Sample {
        title: "竹编茶席",
        price_fen: 4_500,
        stock: 35,
        description: "30 × 120 厘米",
    },
];
