"""What the measuring scripts share: builds, programs in the background, a configuration."""

import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIELD_KEY = "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY="


def build():
    """Builds both programs; gives their paths."""
    run = lambda *args: subprocess.run(args, cwd=TOP, check=True)
    run("cargo", "build", "--release", "--locked")
    run("cargo", "build", "--release", "--locked", "--quiet", "--target-dir", "target/loadgen",
        "--manifest-path", "scripts/loadgen/Cargo.toml")
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(TOP, "target"))
    return (os.path.join(target, "release/zhanggui"),
            os.path.join(TOP, "target/loadgen/release/loadgen"))


def pinned(cpu, command):
    return ["taskset", "-c", str(cpu)] + command if shutil.which("taskset") else command


class Child:
    """A program in the background whose stdout is read line by line."""

    def __init__(self, command, cwd, env=None, log="child.log"):
        self.started = time.monotonic()
        self.log = open(os.path.join(cwd, log), "w")
        self.process = subprocess.Popen(command, cwd=cwd, env=env, text=True,
                                        stdout=subprocess.PIPE, stderr=self.log)

    def line_with(self, mark):
        for line in self.process.stdout:
            if mark in line:
                return line
        raise SystemExit(f"{self.process.args}: ended without `{mark}`; see {self.log.name}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()


def url_in(line):
    return re.search(r"http://[0-9.:]+", line).group(0)


def rss_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) / 1024


def fresh(work):
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    return work


class Upstream:
    """WeChat's place: our simulator, or an address with the account it believes in."""

    def __init__(self, options, binary, work):
        self.child = None
        self.simulator = None
        if options.upstream:
            appid, secret, mchid, key = options.account.split(":")
            self.section = "\n".join([
                "[wechat]", f'appid = "{appid}"', f'secret = "{secret}"',
                f'api_base = "{options.upstream}"', "[wechat.pay]", f'mchid = "{mchid}"',
                f'api_base = "{options.upstream}"', f'v2_key = "{key}"'])
        else:
            command = [binary, "sandbox", "--listen", "127.0.0.1:0", "--data", work + "/keys"]
            self.child = Child(pinned(1, command), work, log="simulator.log")
            self.simulator = url_in(self.child.line_with("http://"))
            with urllib.request.urlopen(self.simulator + "/sandbox/config") as answer:
                self.section = answer.read().decode()
        self.section = re.sub(r'(?m)^(version|v2_sign_type)\b.*\n?', "", self.section)
        self.section = self.section.replace(
            "[wechat.pay]", f'[wechat.pay]\nversion = "{options.version}"\nv2_sign_type = "MD5"')

    def value(self, name):
        return re.search(rf'(?m)^{name}\s*=\s*"([^"]*)"', self.section).group(1)

    def stop(self):
        if self.child:
            self.child.stop()


def config(upstream):
    return f"""{upstream.section}
[server]
listen = "127.0.0.1:0"
public_url = "http://127.0.0.1:1"
[store]
data_dir = "data"
field_key = "{FIELD_KEY}"
[token]
salt = "bench"
[limits]
login_per_minute_per_ip = 1000000
requests_per_minute_per_token = 1000000
[log]
level = "info"
"""
