"""What both peers need of the simulator: its account, a buyer, a payment."""

import json
import tomllib
import urllib.request

# The loopback address never goes through a proxy.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
FEN = 5980
NOTIFY_URL = "http://127.0.0.1:9/wx/pay/notify"


class Simulator:
    """The control routes of `zhanggui sandbox` at `base`."""

    def __init__(self, base):
        self.base = base
        text = self.call("GET", "/sandbox/config")
        self.wechat = tomllib.loads(text)["wechat"]
        self.pay = self.wechat["pay"]

    def call(self, method, path, body=None):
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, content, method=method)
        with OPENER.open(request, timeout=10) as answer:
            return answer.read().decode()

    def post(self, path, body):
        return json.loads(self.call("POST", path, body))

    def login_code(self):
        """A wx.login code and whose it is."""
        made = self.post("/sandbox/login-codes", {})
        return made["code"], made["openid"]

    def pays(self, prepay_id):
        """The buyer pays; nobody listens for the notify."""
        return self.post("/sandbox/payments", {"prepay_id": prepay_id})["transaction_id"]

    def finish(self, refund_no):
        self.post(f"/sandbox/refunds/{refund_no}/finish", {"status": "SUCCESS"})

    def refused(self):
        """The requests that WeChat would have refused."""
        seen = json.loads(self.call("GET", "/sandbox/requests"))["requests"]
        return [row for row in seen if row["verdict"] != "OK"]


def same(what, wanted, found):
    """Says what was proved, or fails."""
    assert wanted == found, f"{what}: wanted {wanted!r}, found {found!r}"
    print(f"  ok {what}")


def file(path):
    with open(path, encoding="ascii") as opened:
        return opened.read()
