"""A headless Chromium, driven through its pipes (Chrome DevTools Protocol): for the checks that try a page in a real browser."""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import time

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]

FLAGS = [
    "--headless", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions",
    "--disable-sync", "--disable-domain-reliability", "--metrics-recording-only", "--mute-audio",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-pipe",
]

# The whole of a short check, from the start of the browser on, in seconds.
DEADLINE = 50

# More than this is no picture to look at, in pixels.
HIGHEST = 12_000


class Fault(Exception):
    """Something that ends the check."""


class Chromium:
    """A browser that is driven through two pipes: its file descriptors 3 and 4."""

    def __init__(self, program, folder, deadline=DEADLINE, flags=()):
        self.deadline = time.monotonic() + deadline
        self.last = 0
        self.events = []
        self.pending = b""
        to_read, self.write_end = (high(end) for end in os.pipe())
        self.read_end, to_write = (high(end) for end in os.pipe())

        def connect():
            os.dup2(to_read, 3)
            os.dup2(to_write, 4)

        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        self.log = open(folder / "chromium.log", "w+b")
        self.process = subprocess.Popen(
            [program, *FLAGS, *flags, *root, f"--user-data-dir={folder / 'profile'}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, pass_fds=(3, 4), preexec_fn=connect,
        )
        os.close(to_read)
        os.close(to_write)
        self.session = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def ask(self, method, **params):
        """Asks for something and waits for the answer."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        try:
            os.write(self.write_end, json.dumps(message).encode() + b"\0")
        except BrokenPipeError:
            raise Fault(f"Chromium has gone: {self.tail()}") from None
        while True:
            answer = self.receive()
            if answer.get("id") != self.last:
                self.events.append(answer)
            elif "error" in answer:
                raise Fault(f"{method}: {answer['error']['message']}")
            else:
                return answer["result"]

    def wait_for(self, method):
        """Waits until the browser has told of something."""
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.receive())

    def receive(self):
        while b"\0" not in self.pending:
            left = self.deadline - time.monotonic()
            if left <= 0 or not select.select([self.read_end], [], [], left)[0]:
                raise Fault(f"Chromium did not answer in time: {self.tail()}")
            more = os.read(self.read_end, 1 << 16)
            if not more:
                raise Fault(f"Chromium has gone: {self.tail()}")
            self.pending += more
        message, self.pending = self.pending.split(b"\0", 1)
        return json.loads(message)

    def run(self, script):
        """Runs JavaScript in the page and returns its value."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise Fault(details.get("exception", {}).get("description", details["text"]) + f"\nin: {script.strip()}")
        return answer["result"].get("value")

    def screen(self, width, height, phone=False):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone)

    def colours(self, scheme, media=""):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", media=media, features=features)

    def picture(self, path, width):
        height = min(self.run("document.documentElement.scrollHeight"), HIGHEST)
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        png = self.ask("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(png["data"]))

    def tail(self):
        self.log.seek(0)
        return self.log.read()[-2000:].decode(errors="replace").strip() or "it said nothing"

    def close(self):
        with contextlib.suppress(Fault):
            self.session = None
            self.ask("Browser.close")
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def high(end):
    """The same descriptor away from 3 and 4, which the browser's ends become."""
    moved = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(end)
    return moved


def program():
    """The browser, or nothing where there is none."""
    chosen = os.environ.get("CHROMIUM")
    return next(filter(None, map(shutil.which, [chosen] if chosen else NAMES)), None)


def complaints(events, is_own):
    """What the events of a browser complain of; `is_own` says which addresses may be asked for."""
    for event in events:
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            yield "exception: " + details.get("exception", {}).get("description", details["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert", "warning"):
            yield f"console: {[argument.get('value') for argument in params['args']]}"
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            yield f"log: {params['entry']['text']}"
        elif method == "Network.requestWillBeSent" and not is_own(params["request"]["url"]):
            yield f"it asks for {params['request']['url'][:200]}"
