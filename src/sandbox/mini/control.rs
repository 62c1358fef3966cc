//! Control routes of the mini program's side.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use super::errcodes::plannable;
use super::phone::Phone;
use crate::base::OpenId;
use crate::sandbox::Sandbox;
use crate::web::{self, Anyone, HttpError, Outcome, Req, StatusCode};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPhoneCode {
    openid: OpenId,
    phone: String,
}

/// `POST /sandbox/phone-codes`: the buyer touched the button and agreed.
pub(super) async fn new_phone_code(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let at = req.at;
    let NewPhoneCode { openid, phone } = req.json().await?;
    let phone = Phone::read(&phone).ok_or_else(|| {
        HttpError::invalid("phone 应为 13812345678 或 +852-61234567 (not a phone number)")
    })?;
    let code = sandbox.book().mini.phones.new_code(openid, phone, at);
    Ok(web::json(StatusCode::OK, &json!({ "code": code })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanErrcode {
    /// WeChat's path, such as `/cgi-bin/stable_token`.
    path: String,
    errcode: i64,
    times: u32,
}

/// `PUT /sandbox/errcodes`: the next calls of a path answer this errcode and do nothing.
pub(super) async fn plan_errcode(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let PlanErrcode {
        path,
        errcode,
        times,
    } = req.json().await?;
    let known = plannable(errcode).ok_or_else(|| {
        HttpError::invalid("errcode 不在可安排的错误码之列 (not an errcode that can be planned)")
    })?;
    sandbox.book().mini.planned.plan(&path, known, times);
    let planned = json!({"path": path, "errcode": errcode, "times": times});
    Ok(web::json(StatusCode::OK, &planned))
}
