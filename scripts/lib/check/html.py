"""Does a report's page work in a real browser? Opens FILE, the report.html of a sweep with two levels or more, in a headless Chromium, and
fails and names each fault unless: it logs no error and asks for nothing but itself; a click on a heading sorts; a level that is
switched off leaves the pictures; a spot of a picture tells its figures to mouse and keys; the dark mode is dark, on paper it is
light; and at a width of 360 pixels nothing but tables and pictures scrolls sideways.

  scripts/check html [--out DIR] [--print] FILE

Needs Chromium (scripts/setup --with chromium; or name another browser of its kind in CHROMIUM). Without one it says so and
checks nothing.
"""

import base64
import contextlib
import fcntl
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time

from shared import arguments

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]

FLAGS = [
    "--headless", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions",
    "--disable-sync", "--disable-domain-reliability", "--metrics-recording-only", "--mute-audio",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
]

# The whole check, from the start of the browser on, in seconds.
DEADLINE = 50

# More than this is no picture to look at, in pixels.
HIGHEST = 12_000


class Fault(Exception):
    """Something that ends the check."""


class Chromium:
    """A browser that is driven through two pipes: its file descriptors 3 and 4."""

    def __init__(self, program, folder):
        self.deadline = time.monotonic() + DEADLINE
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
            [program, *FLAGS, *root, f"--user-data-dir={folder / 'profile'}", "about:blank"],
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
                raise Fault(f"Chromium did not answer within {DEADLINE} s: {self.tail()}")
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


SORT = """(() => {
    const header = document.querySelectorAll('#level-table thead th')[0];
    const order = () => [...document.querySelectorAll('#level-table tbody tr')].map((row) => row.dataset.level).join();
    const before = order();
    header.querySelector('button').click();
    const rising = [order(), header.getAttribute('aria-sort')];
    header.querySelector('button').click();
    const falling = [order(), header.getAttribute('aria-sort')];
    header.querySelector('button').click();
    return { before, rising, falling };
})()"""

SWITCH = """(() => {
    const level = '0';
    const input = document.querySelector(`#level-table input[data-switch="${level}"]`);
    const parts = [...document.querySelectorAll(`.drawing [data-level="${level}"]`)];
    const seen = () => parts.filter((part) => part.getClientRects().length && getComputedStyle(part).display !== 'none').length;
    const before = seen();
    input.click();
    const off = [seen(), input.closest('tr').classList.contains('off'), document.getElementById('shown').textContent];
    document.querySelector('[data-all=""]').click();
    const none = document.querySelectorAll('#level-table tr.off').length;
    document.querySelector('[data-all="on"]').click();
    return { parts: parts.length, before, off, none, after: seen(), rows: document.querySelectorAll('#level-table tbody tr').length };
})()"""

# The middle of a spot that nothing covers, scrolled into view, and what the page was told to say of it.
SPOT = """(async () => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    for (const spot of document.querySelectorAll('.drawing .spot')) {
        spot.scrollIntoView({ block: 'center', inline: 'center' });
        // A page that scrolls takes its tooltip away: two frames later it knows that it has scrolled.
        await frame();
        await frame();
        const box = spot.getBoundingClientRect();
        const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
        if (document.elementFromPoint(x, y) === spot) return { x, y, text: spot.dataset.tip };
    }
    return null;
})()"""

TIP = "(() => { const tip = document.getElementById('tip'); return tip.hidden ? '' : tip.textContent; })()"

# The page is as wide as its content where the root does not scroll, whatever its style says of overflow.
WIDTH = "[document.documentElement.scrollWidth, document.body.scrollWidth, document.documentElement.clientWidth]"

LIGHTNESS = """(() => {
    const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number);
    return Math.round((r + g + b) / 3);
})()"""

HEADINGS = "[...document.querySelectorAll('h1, h2, h3, h4')].map((heading) => Number(heading.tagName[1]))"


def check(browser, file, out, with_print):
    """Every check; returns the faults."""
    faults = []

    def must(holds, fault):
        if not holds:
            faults.append(fault)

    for domain in ["Page", "Runtime", "Log", "Network"]:
        browser.ask(f"{domain}.enable")
    browser.screen(1400, 900)
    browser.colours("light")
    browser.ask("Page.navigate", url=file.as_uri())
    browser.wait_for("Page.loadEventFired")

    levels = browser.run("document.querySelectorAll('#level-table tbody tr').length")
    if levels < 2:
        raise Fault(f"{file} has {levels} levels: it takes two to check sorting and switching")
    headings = browser.run(HEADINGS)
    must(headings[0] == 1 and headings.count(1) == 1, "there is not one h1, at the top")
    must(all(b - a <= 1 for a, b in zip(headings, headings[1:])), f"headings leave a level out: {headings}")
    first = browser.run("document.querySelector('main h2').textContent")
    must(first == "Verdict", f"the first part is not the verdict but {first}")

    light = browser.run(LIGHTNESS)
    must(light > 200, f"the light page is not light: {light} of 255")
    if out:
        browser.picture(out / "wide.png", 1400)

    order = browser.run(SORT)
    must(order["rising"][1] == "ascending" and order["falling"][1] == "descending", f"aria-sort is not told: {order}")
    must(order["rising"][0] != order["falling"][0], f"sorting does not change the order of the rows: {order}")

    switch = browser.run(SWITCH)
    must(switch["parts"] > 0 and switch["before"] > 0, f"no picture shows anything of level 0: {switch}")
    must(switch["off"][0] == 0 and switch["off"][1], f"a level that is switched off is still shown: {switch}")
    must(switch["off"][2] == f"{levels - 1} of {levels}", f"the number of levels shown is wrong: {switch}")
    must(switch["none"] == levels and switch["after"] == switch["before"], f"All and None do not work: {switch}")

    spot = browser.run(SPOT)
    if spot is None:
        faults.append("no picture has a spot that can be pointed at")
    else:
        browser.ask("Input.dispatchMouseEvent", type="mouseMoved", x=spot["x"], y=spot["y"])
        told = browser.run(TIP)
        must(told and told == spot["text"], f"the spot tells {told!r} instead of {spot['text']!r}")
        browser.ask("Input.dispatchKeyEvent", type="keyDown", key="Escape")
        must(browser.run(TIP) == "", "Escape does not take the tooltip away")
        browser.run("document.querySelector('.drawing svg[tabindex]').focus()")
        browser.ask("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight")
        must(browser.run(TIP) != "", "an arrow key shows no tooltip")
        browser.run("document.activeElement.blur()")
    titles = browser.run("document.querySelectorAll('.drawing .spot title').length")
    must(titles == 0, f"{titles} spots would show the browser's own tooltip, too")

    browser.run("document.getElementById('theme').click()")
    dark = browser.run(LIGHTNESS)
    must(dark < 60, f"the button does not make the page dark: {dark} of 255")
    browser.colours("dark", media="print")
    paper = browser.run(LIGHTNESS)
    must(paper > 200, f"paper is not light: {paper} of 255")
    browser.colours("dark")
    browser.run("document.getElementById('theme').click()")
    must(browser.run(LIGHTNESS) > 200, "the button does not make a dark page light")
    browser.run("delete document.documentElement.dataset.theme")
    dark = browser.run(LIGHTNESS)
    must(dark < 60, f"the page does not follow the system's dark mode: {dark} of 255")
    browser.run("scrollTo(0, 0)")
    if out:
        browser.picture(out / "dark.png", 1400)
    browser.colours("light")

    browser.screen(360, 740, phone=True)
    widths = browser.run(WIDTH)
    must(max(widths) <= 360, f"at 360 pixels the page is wider than that: {widths}")
    if out:
        browser.picture(out / "phone.png", 360)
    browser.screen(1400, 900)

    if out and with_print:
        pdf = browser.ask("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
        (out / "print.pdf").write_bytes(base64.b64decode(pdf["data"]))

    for event in browser.events:
        faults.extend(fault_of(event, file))
    return faults, levels


def fault_of(event, file):
    """What an event of the browser complains of."""
    method, params = event.get("method"), event.get("params", {})
    if method == "Runtime.exceptionThrown":
        details = params["exceptionDetails"]
        yield "exception: " + details.get("exception", {}).get("description", details["text"])
    elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert", "warning"):
        yield f"console: {[argument.get('value') for argument in params['args']]}"
    elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
        yield f"log: {params['entry']['text']}"
    elif method == "Network.requestWillBeSent" and params["request"]["url"] != file.as_uri():
        yield f"it asks for {params['request']['url'][:200]}"


def main():
    parser = arguments(__doc__)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, help="keep pictures there: wide.png, dark.png, phone.png")
    parser.add_argument("--print", action="store_true", dest="with_print", help="and print.pdf")
    args = parser.parse_args()
    file = args.file.resolve()
    if not file.is_file():
        sys.exit(f"check html: no such file: {args.file}")
    chosen = os.environ.get("CHROMIUM")
    program = next(filter(None, map(shutil.which, [chosen] if chosen else NAMES)), None)
    if program is None:
        print("check html: SKIPPED, nothing was checked: there is no Chromium (scripts/setup --with chromium)", file=sys.stderr)
        return 0
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="stampede-html-", ignore_cleanup_errors=True) as folder:
        browser = None
        try:
            browser = Chromium(program, pathlib.Path(folder))
            faults, levels = check(browser, file, args.out, args.with_print)
        except Fault as fault:
            faults = [str(fault)]
        finally:
            if browser:
                browser.close()
    for fault in faults:
        print(f"check html: {args.file}: {fault}", file=sys.stderr)
    if faults:
        return 1
    print(f"check html: {args.file}: {levels} levels; sorting, switches, tooltips, dark, paper and phone work ({time.monotonic() - started:.0f} s)")
    return 0
