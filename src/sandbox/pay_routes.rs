//! The rows of refunds, certificates and bills: WeChat's own paths, and the control routes beside
//! them.

use super::{Sandbox, bill_calls, control, control_refunds, gate_v2, gate_v3};
use crate::web::{Method, Route, route};

const V3_REFUNDS: &str = "/v3/refund/domestic/refunds";
const V3_REFUND: &str = "/v3/refund/domestic/refunds/{out_refund_no}";
const V3_ABNORMAL: &str = "/v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund";
const FINISH: &str = "/sandbox/refunds/{refund_no}/finish";

pub(super) fn routes() -> Vec<Route<Sandbox>> {
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    vec![
        route(post.clone(), "/secapi/pay/refund", gate_v2::refund),
        route(post.clone(), "/pay/refundquery", gate_v2::refund_query),
        route(post.clone(), V3_REFUNDS, gate_v3::refund),
        route(get.clone(), V3_REFUND, gate_v3::refund_query),
        route(post.clone(), V3_ABNORMAL, gate_v3::abnormal_refund),
        route(post.clone(), FINISH, control_refunds::finish),
        route(post.clone(), "/pay/downloadbill", bill_calls::download_v2),
        route(get.clone(), "/v3/bill/tradebill", bill_calls::apply_v3),
        route(get.clone(), "/v3/billdownload/file", bill_calls::file_v3),
        route(put.clone(), "/sandbox/bills", bill_calls::plant),
        route(get.clone(), "/v3/certificates", gate_v3::certificates),
        route(
            put.clone(),
            "/sandbox/certificates",
            control::set_certificates,
        ),
        route(post, "/sandbox/refunds", control_refunds::by_hand),
        route(put, "/sandbox/refunds", control_refunds::plan),
        route(get, "/sandbox/refunds", control_refunds::refunds),
    ]
}
