//! Floor 4: WeChat's side of the contract: a simulator that judges as strictly. Never imports `wechat`.
