"""The v2 peer: wechatpy against the simulator. Login, prepay, query, refund."""

import sys

from wechatpy import WeChatClient
from wechatpy.pay import WeChatPay

from shared import FEN, NOTIFY_URL, Simulator, same

simulator = Simulator(sys.argv[1])


class Mini(WeChatClient):
    API_BASE_URL = simulator.base + "/cgi-bin/"

    def fetch_access_token(self):
        asked = {"grant_type": "client_credential", "appid": self.appid, "secret": self.secret}
        return self._fetch_access_token(url=simulator.base + "/cgi-bin/token", params=asked)


class Pay(WeChatPay):
    API_BASE_URL = simulator.base + "/"


appid, secret = simulator.wechat["appid"], simulator.wechat["secret"]
mini = Mini(appid, secret)
code, openid = simulator.login_code()
session = mini._request(
    "get",
    simulator.base + "/sns/jscode2session",
    params={
        "appid": appid,
        "secret": secret,
        "js_code": code,
        "grant_type": "authorization_code",
    },
)
same("login gives the openid", openid, session["openid"])
same("an access token lasts two hours", 7200, mini.fetch_access_token()["expires_in"])

pay = Pay(appid, simulator.pay["v2_key"], simulator.pay["mchid"])
number = "peer-v2-0001"
prepaid = pay.order.create(
    "JSAPI", "tea", FEN, NOTIFY_URL, client_ip="127.0.0.1", user_id=openid, out_trade_no=number
)
same("prepay is answered with a right signature", True, pay.check_signature(dict(prepaid)))
same("not paid yet", "NOTPAY", pay.order.query(out_trade_no=number)["trade_state"])
transaction_id = simulator.pays(prepaid["prepay_id"])
paid = pay.order.query(out_trade_no=number)
same("paid", ("SUCCESS", str(FEN)), (paid["trade_state"], paid["total_fee"]))
same("by WeChat's number", transaction_id, paid["transaction_id"])

refund = "peer-v2-r1"
accepted = pay.refund.apply(FEN, 980, refund, out_trade_no=number)
same("a refund is accepted", "980", accepted["refund_fee"])
simulator.finish(refund)
told = pay.refund.query(out_refund_no=refund)
same("the refund succeeded", "SUCCESS", told["refund_status_0"])
same("the order tells of it", "REFUND", pay.order.query(out_trade_no=number)["trade_state"])
same("nothing was refused", [], simulator.refused())
