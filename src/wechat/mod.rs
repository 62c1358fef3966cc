//! Floor 2: WeChat's protocols, from the client's side. The one home of its field names.
