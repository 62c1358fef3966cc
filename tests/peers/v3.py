"""The v3 peer: wechatpayv3 against the simulator. Prepay, query, refund; answers verified."""

import json
import sys

from wechatpayv3 import WeChatPay, WeChatPayType

from shared import FEN, NOTIFY_URL, Simulator, file, same

simulator = Simulator(sys.argv[1])
account = simulator.pay
pay = WeChatPay(
    wechatpay_type=WeChatPayType.MINIPROG,
    mchid=account["mchid"],
    private_key=file(account["merchant_key_file"]),
    cert_serial_no=account["merchant_serial"],
    appid=simulator.wechat["appid"],
    apiv3_key=account["v3_key"],
    notify_url=NOTIFY_URL,
    public_key=file(account["wechat_public_key_file"]),
    public_key_id=account["wechat_public_key_id"],
)
# The library has no option for another host.
pay._core._gate_way = simulator.base


def call(work, *args, **kwargs):
    """The answer of a call that must succeed; the library verifies its signature."""
    status, body = work(*args, **kwargs)
    assert 200 <= status < 300, (status, body)
    return json.loads(body) if body else {}


_, openid = simulator.login_code()
number = "peer-v3-0001"
prepaid = call(
    pay.pay,
    description="tea",
    out_trade_no=number,
    amount={"total": FEN, "currency": "CNY"},
    payer={"openid": openid},
)
same("not paid yet", "NOTPAY", call(pay.query, out_trade_no=number)["trade_state"])
stamp = ("1767196830", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS", f"prepay_id={prepaid['prepay_id']}")
shown = {
    "timeStamp": stamp[0],
    "nonceStr": stamp[1],
    "package": stamp[2],
    "signType": "RSA",
    "paySign": pay.sign([simulator.wechat["appid"], *stamp]),
}
checked = simulator.post("/sandbox/verify-pay-params", shown)
same("the cashier takes its signature", FEN, checked["total_fen"])
transaction_id = simulator.pays(prepaid["prepay_id"])
paid = call(pay.query, out_trade_no=number)
same("paid", ("SUCCESS", FEN), (paid["trade_state"], paid["amount"]["total"]))
same("by WeChat's number", number, call(pay.query, transaction_id)["out_trade_no"])

refund = "peer-v3-r1"
amount = {"refund": 980, "total": FEN, "currency": "CNY"}
accepted = call(pay.refund, out_refund_no=refund, amount=amount, out_trade_no=number)
same("a refund is accepted", "PROCESSING", accepted["status"])
simulator.finish(refund)
told = call(pay.query_refund, refund)
same("the refund succeeded", ("SUCCESS", 980), (told["status"], told["amount"]["refund"]))
other = "peer-v3-0002"
call(
    pay.pay,
    description="tea",
    out_trade_no=other,
    amount={"total": FEN, "currency": "CNY"},
    payer={"openid": openid},
)
call(pay.close, other)
same("closed", "CLOSED", call(pay.query, out_trade_no=other)["trade_state"])
same("nothing was refused", [], simulator.refused())
