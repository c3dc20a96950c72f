"""Does the live page work in a real browser, with a real load on a private local pipeline? Fails and names each fault.

  scripts/check page [--out DIR] [--long]

Without a browser: each request that must be refused is. In one: a load is started, edited, paused, stopped and its report opened, with mouse and keys;
what the page shows equals what the API tells, and in the end the report; the broker stands still and comes back; the driver is killed and started
again; nginx has it below a path; a hostile page on another origin can neither read nor act; hours of ticks leave memory flat; axe-core finds nothing.

Needs Chromium (scripts/setup --with chromium; or name another browser of its kind in CHROMIUM). Without one it says so, and tries only the requests.
axe-core comes from npm, or is the file that AXE names; without either it is left out, with a word.
"""

import contextlib
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from browser import Chromium, Fault, complaints, program
from shared import ROOT, arguments, driver

AXE = "axe-core@4.11"

# Fails with an answer that must stay text.
FAILING = """stampede: 1
name: failing
target: http://127.0.0.1:PORT
params: { word: tea, a_name_that_has_no_place_to_break_and_is_wider_than_a_phone: 1 }
users:
  u:
    think: 100ms
    tasks:
      t:
        steps: [ { name: ask, GET: "/${word}", expect: { status: 200 } } ]
load: { users: 2, duration: 3s }
thresholds: [ "steps.ask.p99<1s" ]
"""

SCRIPT = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"


class Driver:
    """driver ui in a folder, and what it prints."""

    def __init__(self, program, folder, *options, listen="127.0.0.1:0"):
        self.log = folder / f"driver-{time.monotonic_ns()}.log"
        command = [program, "ui", "--ui", listen, "--out", str(folder / "reports"), "--every", "5", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=self.log.open("w"), cwd=folder)
        deadline = time.monotonic() + 20
        while not (found := re.search(r"^page: (http://(\S+):(\d+)/#token=(\w+))$", self.log.read_text(), re.M)):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise Fault(f"driver ui did not open a page: {self.log.read_text()}")
            time.sleep(0.05)
        self.url, self.host, self.port, self.token = found[1], found[2], int(found[3]), found[4]

    def ask(self, method, path, body=None, headers=None):
        """An answer: status, headers, text."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=15)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def state(self):
        return json.loads(self.ask("GET", "/api/state")[2])

    def act(self, path, body):
        """Acts as a script does that has the token."""
        own = {"Content-Type": "application/json", "Origin": f"http://{self.host}:{self.port}", "Authorization": f"Bearer {self.token}"}
        return self.ask("POST", path, json.dumps(body), own)

    def children(self):
        """Its child processes, by name."""
        found = {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                name, rest = stat.read_text().split(" (", 1)[1].rsplit(") ", 1)
                if int(rest.split()[1]) == self.process.pid:
                    found[name] = int(stat.parent.name)
        return found

    def close(self):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=20)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Server(http.server.BaseHTTPRequestHandler):
    """An API that fails, and a hostile page."""

    page = b""

    def do_GET(self):
        is_page = self.path == "/hostile"
        body = self.page if is_page else SCRIPT.encode()
        self.send_response(200 if is_page else 500)
        self.send_header("Content-Type", "text/html" if is_page else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def refusals(page):
    """Each request that must be refused: what was asked, the status that is expected, and the one that came."""
    own, token = f"http://{page.host}:{page.port}", f"Bearer {page.token}"
    good = {"Content-Type": "application/json", "Origin": own, "Authorization": token, "Sec-Fetch-Site": "same-origin"}
    without = lambda name: {key: value for key, value in good.items() if key != name}
    cases = [
        ("GET / by a name of others (DNS rebinding)", "GET", "/", None, {"Host": "evil.example"}, 421),
        ("GET /api/state by a name that begins alike", "GET", "/api/state", None, {"Host": f"127.0.0.1.evil.example:{page.port}"}, 421),
        ("GET /events by a name of others", "GET", "/events", None, {"Host": "evil.example"}, 421),
        ("POST by a name of others", "POST", "/api/stop", "{}", good | {"Host": "evil.example"}, 421),
        ("GET that would act", "GET", "/api/stop", None, good, 404),
        ("PUT", "PUT", "/api/stop", "{}", good, 405),
        ("POST without a media type", "POST", "/api/stop", "{}", without("Content-Type"), 415),
        ("POST of a form", "POST", "/api/stop", "{}", good | {"Content-Type": "text/plain"}, 415),
        ("POST without an origin", "POST", "/api/stop", "{}", without("Origin"), 403),
        ("POST of another origin", "POST", "/api/stop", "{}", good | {"Origin": "http://evil.example"}, 403),
        ("POST of another port here", "POST", "/api/stop", "{}", good | {"Origin": "http://127.0.0.1:1"}, 403),
        ("POST of a sandboxed page", "POST", "/api/stop", "{}", good | {"Origin": "null"}, 403),
        ("POST from another site", "POST", "/api/stop", "{}", good | {"Sec-Fetch-Site": "cross-site"}, 403),
        ("POST from the same site, another origin", "POST", "/api/stop", "{}", good | {"Sec-Fetch-Site": "same-site"}, 403),
        ("POST without a token", "POST", "/api/stop", "{}", without("Authorization"), 401),
        ("POST with another token", "POST", "/api/stop", "{}", good | {"Authorization": "Bearer " + "0" * 32}, 401),
        ("a session with another token", "POST", "/api/session", json.dumps({"token": "0" * 32}), without("Authorization"), 401),
        ("a session from another origin", "POST", "/api/session", json.dumps({"token": page.token}), good | {"Origin": "http://evil.example"}, 403),
        ("too many users", "POST", "/api/start", json.dumps({"users": 10**6}), good, 422),
        ("too high a rate", "POST", "/api/start", json.dumps({"rate": 1e9}), good, 422),
        ("another target", "POST", "/api/start", json.dumps({"target": "http://evil.example"}), good, 400),
        ("a plan that is not offered", "POST", "/api/start", json.dumps({"plan": "/etc/passwd"}), good, 422),
        ("an edit of nothing that runs", "POST", "/api/edit", json.dumps({"users": 3}), good, 409),
        ("a body that is no JSON", "POST", "/api/start", "{", good, 400),
        ("a body of 100 kB", "POST", "/api/start", " " * 100_000, good, 413),
        ("a file above the reports", "GET", "/api/download/../../etc/passwd", None, {}, 404),
        ("the same, encoded", "GET", "/api/download/%2e%2e/%2e%2e/etc/passwd", None, {}, 404),
        ("a hidden file", "GET", "/api/download/.git/config", None, {}, 404),
    ]
    for what, method, path, body, headers, expected in cases:
        status, got, text = page.ask(method, path, body, headers)
        yield what, expected, status, got, text


def check_refusals(page, must, told):
    for what, expected, status, headers, text in refusals(page):
        told(f"  {status}  {what}: {text[:110]}")
        must(status == expected, f"{what}: {status} instead of {expected}: {text[:200]}")
        must(not any(name.lower().startswith("access-control") for name in headers), f"{what}: the answer has CORS headers")
    status, headers, _ = page.ask("GET", "/")
    policy = headers.get("Content-Security-Policy", "")
    must(status == 200 and "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy, f"the page's policy is {policy!r}")
    for name, value in [("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Opener-Policy", "same-origin"), ("Cross-Origin-Resource-Policy", "same-origin")]:
        must(headers.get(name) == value, f"{name} is {headers.get(name)!r}")


class Page:
    """The page in a browser."""

    def __init__(self, browser, must):
        self.browser, self.must = browser, must

    def run(self, script):
        return self.browser.run(script)

    def wait(self, condition, seconds, what):
        deadline = time.monotonic() + seconds
        while not self.run(condition):
            if time.monotonic() > deadline:
                raise Fault(f"{what} did not come within {seconds} s; the page says: {self.run('document.querySelector(`header`).innerText + [...document.querySelectorAll(`dialog[open]`)].map((it) => it.innerText).join()')}")
            time.sleep(0.1)

    def state(self, word, seconds):
        self.wait(f"document.getElementById('state').textContent === {json.dumps(word)}", seconds, f"the state {word}")

    def key(self, key, **more):
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39, " ": 32}
        code = codes.get(key, 0)
        text = {"Enter": "\r", " ": " "}.get(key)
        self.browser.ask("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=code, **({"text": text} if text else {}), **more)
        self.browser.ask("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code, **more)

    def fill(self, selector, value):
        self.run(f"(() => {{ const input = document.querySelector({json.dumps(selector)}); input.value = {json.dumps(str(value))}; input.dispatchEvent(new Event('input', {{bubbles: true}})); }})()")

    def click(self, selector):
        found = self.run(f"(() => {{ const it = document.querySelector({json.dumps(selector)}); if (!it || it.hidden) return false; it.click(); return true; }})()")
        if not found:
            raise Fault(f"there is nothing to click at {selector}")

    def shows(self, what):
        """Text of the tiles, and the state of the API at the same event: tried until no event comes between."""
        script = """(async () => {
            for (let attempt = 0; attempt < 40; attempt += 1) {
                const before = await (await fetch('/api/state')).json();
                await new Promise((resolve) => setTimeout(resolve, 60));
                const tiles = Object.fromEntries([...document.querySelectorAll('.tile')].map((tile) => [tile.id, tile.querySelector('.value').textContent]));
                const points = stampede.charts.charts.map(({ spec, lines, plot }) => [spec.id, lines.map((line) => line.cell ?? line.label), plot.data.map((column) => [...column])]);
                const heat = stampede.state().points.heat;
                const after = await (await fetch('/api/state')).json();
                if (before.event === after.event) return { state: after, tiles, points, heat };
            }
            return null;
        })()"""
        shown = self.run(script)
        if shown is None:
            raise Fault(f"{what}: events came all the time")
        return shown


def written(us):
    """A time as the page writes it."""
    if us is None:
        return "n/a"
    value, unit = (us, "µs") if us < 1e3 else (us / 1e3, "ms") if us < 1e6 else (us / 1e6, "s")
    digits = 0 if unit == "µs" or value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}"


def grouped(value):
    if value is None:
        return "n/a"
    return f"{value:,.1f}" if abs(value) < 10 and value != int(value) else f"{value:,.0f}"


def check_equal(shown, must, what):
    """Tiles and charts show what the API tells."""
    tiles, state = shown["tiles"], shown["state"]
    now = state["now"]["tiles"]
    expected = {
        "tile-rate": f"{grouped(now['accepted'])}/s",
        "tile-http": written(now["http"]["p99_us"]),
        "tile-arrival": "≥ " + written(now["stalled_s"] * 1e6) if (now["stalled_s"] or 0) * 1e6 > (now["arrival"]["p99_us"] or 0) else written(now["arrival"]["p99_us"]),
        "tile-backlog": grouped(now["backlog"]),
        "tile-lost": grouped(now["lost"]),
    }
    # The two round a half differently.
    close = lambda one, other: one == other or one.split()[1:] == other.split()[1:] and abs(float(re.sub(r"[^\d.]", "", one.split()[0])) - float(re.sub(r"[^\d.]", "", other.split()[0]))) <= 1
    for tile, text in expected.items():
        must(close(tiles[tile], text), f"{what}: {tile} shows {tiles[tile]} and the API tells {text}")
    cells, rows = state["points"]["cells"], state["points"]["rows"]
    must(len(rows) > 0, f"{what}: there are no points")
    for chart, lines, columns in shown["points"]:
        times = columns[0]
        seen = {round(t, 6): index for index, t in enumerate(times)}
        for row in rows:
            index = seen.get(round(row["t"], 6))
            if index is None:
                must(False, f"{what}: the chart {chart} lacks the point at {row['t']}")
                break
            if chart in ("heat", "hops"):
                continue
            for line, column in zip(lines, columns[1:]):
                told = row["cells"][cells.index(line)]
                told = told if told is None or chart != "gap" else max(told, 1) / 1e3
                must(told == column[index] or abs(told - column[index]) < 1e-9, f"{what}: {chart}, {line} at {row['t']}: {column[index]} and {told}")
    hops = next((columns for chart, _, columns in shown["points"] if chart == "hops"), None)
    if hops and None not in rows[-1]["hops"]:
        whole = sum(max(hop, 0) for hop in rows[-1]["hops"]) / 1e3
        must(abs(hops[1][-1] - whole) < 1e-6, f"{what}: the hops add up to {hops[1][-1]} and not to {whole}")
    return len(rows)


def check_report(page, shown, folder, must):
    """The levels on the page are those of the report."""
    state = shown["state"]
    report = json.loads((folder / "reports" / state["head"]["sweep"] / "report.json").read_text())
    by_run = {level["load"]["run"]: level for level in report["levels"]}
    must(len(state["levels"]) == len(report["levels"]), f"the page has {len(state['levels'])} levels, the report {len(report['levels'])}")
    for ended in state["levels"]:
        level = by_run[ended["run"]]
        tiles, http = ended["tiles"], level["load"]["http"]
        for name, ours, theirs in [
            ("accepted", ended["accepted"], level["books"]["accepted"]),
            ("arrived", ended["arrived"], level["books"]["arrived"]),
            ("lost", tiles["lost"], level["books"]["lost"]),
            ("http p99", tiles["http"]["p99_us"], http["p99_us"]),
            ("http max", tiles["http"]["max_us"], http["max_us"]),
            ("arrival n", tiles["arrival"]["n"], level["arrival"]["count"]),
            ("arrival p50", tiles["arrival"]["p50_us"], level["arrival"]["p50_us"]),
            ("arrival p99", tiles["arrival"]["p99_us"], level["arrival"]["p99_us"]),
            ("arrival max", tiles["arrival"]["max_us"], level["arrival"]["max_us"]),
        ]:
            must(ours == theirs, f"level {ended['number']}, {name}: the page has {ours}, the report {theirs}")
    rows = page.run("[...document.querySelectorAll('#panel-levels tbody tr')].map((row) => row.innerText)")
    must(len(rows) == len(report["levels"]), f"the table has {len(rows)} levels")
    verdict = page.run("document.getElementById('sentence').textContent")
    must(verdict == report["findings"]["verdict"][0], f"the verdict on the page is {verdict!r}")


FOCUSABLE = """[...document.querySelectorAll('button, a[href], input, select, [tabindex="0"]')].filter((it) => it.checkVisibility() && !it.disabled && it.tabIndex >= 0 && !it.classList.contains('skip')).length"""


def check_keys(page, must):
    """Tab reaches everything; arrow keys move the cursor; Escape closes a dialog."""
    page.run("document.activeElement.blur(); scrollTo(0, 0)")
    wanted = page.run(FOCUSABLE)
    page.run("globalThis.reached = new Set()")
    for _ in range(wanted + 8):
        page.key("Tab")
        page.run("document.activeElement !== document.body && !document.activeElement.classList.contains('skip') && reached.add(document.activeElement)")
    reached = page.run("reached.size")
    must(reached >= wanted, f"Tab reaches {reached} of {wanted}: not {page.run(FOCUSABLE.replace('.length', '.filter((it) => !reached.has(it)).map((it) => it.id || it.className || it.outerHTML.slice(0, 60))'))}")
    outline = page.run("(() => { const it = document.getElementById('hold'); it.focus(); return getComputedStyle(it).outlineStyle; })()")
    must(outline != "none", "the focus cannot be seen")
    page.run("document.querySelector('#chart-gap').focus()")
    page.key("ArrowLeft")
    first = page.run("document.querySelector('#chart-gap .u-legend td').textContent")
    page.key("ArrowLeft")
    second = page.run("document.querySelector('#chart-gap .u-legend td').textContent")
    other = page.run("document.querySelector('#chart-rates .u-legend td').textContent")
    must(first != second and second == other, f"arrow keys do not move the cursor of all charts: {first}, {second}, {other}")
    page.key("Escape")
    page.run("document.getElementById('tab-steps').focus()")
    page.key("ArrowRight")
    must(page.run("document.activeElement.id") == "tab-failures", "an arrow key does not move between tabs")
    page.run("document.getElementById('edit').focus()")
    page.key("Enter")
    must(page.run("document.getElementById('edit-dialog').open"), "Enter does not open the dialog")
    page.key("Escape")
    must(not page.run("document.getElementById('edit-dialog').open"), "Escape does not close the dialog")
    return reached


def check_twins(page, must):
    page.click("#chart-gap figcaption button")
    rows = page.run("document.querySelectorAll('#chart-gap .twin tbody tr').length")
    must(rows > 2, f"the chart as a table has {rows} rows")
    label = page.run("document.querySelector('#chart-gap').getAttribute('aria-label')")
    must("arrival p99" in label and "n/a" not in label.split("arrival p99")[1], f"the name of the chart is {label!r}")
    page.click("#chart-gap figcaption button")


def check_hold(page, must):
    page.click("#hold")
    before = page.run("document.querySelector('main').innerText")
    drawn = page.run("document.documentElement.dataset.drawn")
    time.sleep(2.5)
    must(page.run("document.querySelector('main').innerText") == before, "Hold does not hold the page")
    must(page.run("document.documentElement.dataset.drawn") == drawn, "the page draws although it is held")
    page.click("#hold")
    page.wait(f"document.documentElement.dataset.drawn !== '{drawn}'", 5, "what was missed")


def check_reload(page, driver, must):
    """After a reload the page has the same history, and goes on without a gap or a double."""
    times = "stampede.state().points.t.filter((t, index) => stampede.state().points.columns.level[index] !== null)"
    before = page.run(times)
    page.browser.ask("Page.reload")
    page.wait("globalThis.stampede && stampede.state()?.points.t.length > 0", 10, "the page after a reload")
    after = page.run(times)
    must(after[: len(before)] == before, "the history is another one after a reload")
    time.sleep(2.5)
    now, told = page.run(times), [row["t"] for row in driver.state()["points"]["rows"]]
    must(now == told[: len(now)] and len(told) - len(now) <= 1, f"after a reload there are {len(now)} points, and the API has {len(told)}")
    must(len(set(now)) == len(now), "a point is there twice")


# A second of a real load, which is told again and again.
SECOND = """(() => {
    const { points, head, now } = stampede.state();
    const last = (column) => column.findLast((value) => value !== null) ?? null;
    return { head, now, cells: points.cells, hops: points.hops, template: { level: 1, cells: points.cells.map((cell) => last(points.columns[cell])), hops: points.hops_columns.map(last) } };
})()"""

REPLAY = """(async () => {
    const state = stampede.state();
    const { head, now, cells, hops, template } = SECOND;
    const row = (at) => ({ ...template, t: at, cells: template.cells.map((cell) => cell === null ? null : cell * (0.8 + 0.4 * Math.random())), heat: [[8, 300], [9, 600], [10, 90], [11, Math.floor(Math.random() * 9)]] });
    const slow = [];
    let rows = [];
    let step = 1;
    const snapshot = () => stampede.hear('snapshot', { ...state, head, now, points: { step_s: step, cells, hops, rows }, marks: [], levels: [], log: [] });
    snapshot();
    for (let tick = 1; tick <= TICKS; tick += 1) {
        const next = tick % step ? null : row(tick);
        if (next) rows.push(next);
        const begun = performance.now();
        if (rows.length > 3600) {
            rows = rows.filter((_, index) => index % 2);
            step *= 2;
            snapshot();
        } else {
            stampede.hear('tick', { row: next, head, now });
        }
        // Drawing takes its turn behind what asks for it.
        if (tick % EVERY === 0) {
            stampede.draw();
            await null;
            await null;
            slow.push(performance.now() - begun);
        }
        if (tick % 300 === 0) await new Promise((resolve) => setTimeout(resolve));
    }
    slow.sort((one, other) => one - other);
    return { p50: slow[slow.length >> 1], p99: slow[Math.floor(slow.length * 0.99)], points: stampede.state().points.t.length };
})()"""


def heap(page):
    page.browser.ask("HeapProfiler.collectGarbage")
    page.browser.ask("HeapProfiler.collectGarbage")
    metrics = page.browser.ask("Performance.getMetrics")["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "JSHeapUsedSize")


def check_replay(page, must, second, ticks, told):
    """Hours of ticks: memory does not grow."""
    page.browser.ask("Performance.enable")
    replay = lambda ticks, every: page.run(REPLAY.replace("SECOND", json.dumps(second)).replace("TICKS", str(ticks)).replace("EVERY", str(every)))
    replay(3600, 36)
    drawn = page.run("stampede.charts.charts.length")
    must(drawn == 5, f"{drawn} charts are drawn in the replay")
    first = heap(page)
    ran = replay(ticks, max(1, ticks // 400))
    after = heap(page)
    told(f"  {ticks} ticks replayed: {ran['p50']:.1f} ms a drawn tick in the median, {ran['p99']:.1f} ms at p99, {ran['points']} points; heap {first / 1e6:.1f} MB before, {after / 1e6:.1f} MB after")
    must(ran["p50"] < 50, f"a tick takes {ran['p50']:.0f} ms to draw")
    must(ran["points"] <= 3700, f"the page keeps {ran['points']} points")
    must(after < first * 1.25 + 2e6, f"the heap grew from {first} to {after} bytes")
    return ran


def axe_source(folder):
    chosen = os.environ.get("AXE")
    if chosen:
        return pathlib.Path(chosen).read_text()
    if not shutil.which("npm"):
        return None
    packed = subprocess.run(["npm", "pack", "--silent", AXE], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    if packed.returncode:
        return None
    subprocess.run(["tar", "xzf", packed.stdout.strip().splitlines()[-1]], cwd=folder, check=True)
    return (folder / "package" / "axe.min.js").read_text()


def check_tabs(page, must):
    """A browser has six connections to one address: tabs that are not seen take none of them."""
    ask = page.browser.ask
    own, page.browser.session = page.browser.session, None
    first = ask("Target.getTargets")["targetInfos"]
    address = next(target["url"] for target in first if target["type"] == "page" and "127.0.0.1" in target["url"])
    more = [ask("Target.createTarget", url=address)["targetId"] for _ in range(8)]
    page.browser.session = ask("Target.attachToTarget", targetId=more[-1], flatten=True)["sessionId"]
    try:
        is_there, deadline = False, time.monotonic() + 10
        while not is_there and time.monotonic() < deadline:
            time.sleep(0.1)
            # Before its page has come it has nothing to run a script in.
            with contextlib.suppress(Fault):
                is_there = page.run("globalThis.stampede?.state() ? true : false")
        if not is_there:
            raise Fault("a ninth tab hears nothing")
        answer = page.run("Promise.race([fetch('/api/state').then((answer) => answer.status), new Promise((resolve) => setTimeout(resolve, 5000, 'nothing'))])")
        must(answer == 200, f"with nine tabs open the API answers {answer}")
    finally:
        page.browser.session = None
        for target in more:
            ask("Target.closeTarget", targetId=target)
        back = next(target["targetId"] for target in first if target["url"] == address)
        ask("Target.activateTarget", targetId=back)
        page.browser.session = own
    at = page.run("stampede.state().points.t.length")
    page.wait(f"!document.hidden && stampede.state().points.t.length > {at}", 10, "the first tab's next point")


def check_axe(page, source, must, what, told):
    if source is None:
        return
    page.run(source + "; true")
    found = page.run("axe.run({ rules: { 'target-size': { enabled: true } } }).then(({ violations, passes }) => ({ passes: passes.length, violations: violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.target.join(' ')).join(', ')}`) }))")
    told(f"  axe-core, {what}: {len(found['violations'])} violations, {found['passes']} rules passed")
    for violation in found["violations"]:
        must(False, f"axe-core, {what}: {violation}")


HOSTILE = """<!doctype html><title>waiting</title><script>
const at = 'PAGE';
const said = {};
const tries = {
  'fetch the state': () => fetch(at + '/api/state').then((answer) => answer.text()),
  'fetch it with cookies': () => fetch(at + '/api/state', { credentials: 'include' }).then((answer) => answer.text()),
  'fetch it blindly': () => fetch(at + '/api/state', { mode: 'no-cors' }).then(async (answer) => { const text = await answer.text(); if (!text) throw new Error('empty'); return text; }),
  'stop, as a form': () => fetch(at + '/api/stop', { method: 'POST', mode: 'no-cors', credentials: 'include', headers: { 'Content-Type': 'text/plain' }, body: '{}' }).then(() => { throw new Error('sent, unread'); }),
  'stop, as JSON': () => fetch(at + '/api/stop', { method: 'POST', credentials: 'include', headers: { 'Content-Type': 'application/json' }, body: '{}' }).then((answer) => answer.text()),
  'hear the events': () => new Promise((resolve, reject) => { const source = new EventSource(at + '/events', { withCredentials: true }); source.onmessage = source.onopen = () => resolve('open'); source.onerror = () => { source.close(); reject(new Error('refused')); }; }),
  'run it as a script': () => new Promise((resolve, reject) => { const script = document.createElement('script'); script.src = at + '/page.js'; script.onload = () => resolve('ran'); script.onerror = () => reject(new Error('refused')); document.head.append(script); }),
  'frame it': () => new Promise((resolve, reject) => { const frame = document.createElement('iframe'); frame.src = at + '/'; frame.onload = () => { try { resolve(frame.contentDocument.body.innerText); } catch (error) { reject(error); } }; document.documentElement.append(frame); setTimeout(() => reject(new Error('no answer')), 3000); }),
};
(async () => {
  for (const [name, attempt] of Object.entries(tries)) said[name] = await attempt().then((got) => 'GOT ' + String(got).slice(0, 80), (error) => 'refused: ' + error.message.slice(0, 80));
  globalThis.said = said;
})();
</script>"""


def check_hostile(page, driver, port, must, told):
    Server.page = HOSTILE.replace("PAGE", f"http://127.0.0.1:{driver.port}").encode()
    # The same host and another port: the same site, for cookies.
    page.browser.ask("Page.navigate", url=f"http://127.0.0.1:{port}/hostile")
    page.wait("globalThis.said !== undefined", 20, "the end of the hostile page")
    for what, got in page.run("said").items():
        told(f"  hostile page, {what}: {got}")
        must(got.startswith("refused"), f"a hostile page can {what}: {got}")
    must(driver.state()["head"]["state"] == "running", "a hostile page has ended the load")


def look_on(driver, seconds):
    """What the page tells, second by second."""
    for _ in range(seconds):
        state = driver.state()
        row = dict(zip(state["points"]["cells"], state["points"]["rows"][-1]["cells"]))
        yield state, row
        time.sleep(1)


def check_losing(page, driver, must, told, out):
    """The broker stands still for 5 s."""
    broker = driver.children().get("mosquitto")
    if broker is None:
        raise Fault("the private broker is not found")
    os.kill(broker, signal.SIGSTOP)
    saw_stall, most = False, 0
    try:
        for state, row in look_on(driver, 5):
            told(f"  stopped: backlog {row['backlog']}, in flight {row['in_flight']}, overdue {row['missing']}, arrived {row['arrived']:.0f}/s: {state['head']['sentence']}")
            saw_stall |= state["head"]["sentence"].startswith("Nothing arrives")
            most = max(most, row["in_flight"] or 0)
        if out:
            page.browser.picture(out / "losing.png", 1400)
    finally:
        os.kill(broker, signal.SIGCONT)
    for state, row in look_on(driver, 8):
        told(f"  back:    backlog {row['backlog']}, in flight {row['in_flight']}, overdue {row['missing']}, arrived {row['arrived']:.0f}/s: {state['head']['sentence']}")
    must(saw_stall, "the page does not say that nothing arrives while the broker stands still")
    must(most > 500, f"at most {most} messages were in flight while the broker stood still")
    texts = [mark["text"] for mark in state["marks"] if mark["kind"] == "stall"]
    must(any("nothing has arrived" in text for text in texts) and any("arrive again" in text for text in texts), f"the marks of the broker are {texts}")
    must((row["in_flight"] or 0) < 200, f"{row['in_flight']} messages are in flight 8 s after the broker came back")


def check_killed(page, started, folder, options, must):
    """The driver is killed, and started again at the same address."""
    driver = started
    driver.process.kill()
    driver.process.wait()
    page.wait("document.getElementById('notice').textContent.startsWith('Lost')", 8, "the word that the driver is lost")
    must(page.run("stampede.state().points.t.length") > 0, "what was seen is gone")
    again = Driver(options[0], folder, *options[1:], listen=f"127.0.0.1:{driver.port}")
    page.wait("document.getElementById('notice').hidden && stampede.state().boot !== globalThis.boot", 20, "the driver that was started again")
    must(page.run("document.getElementById('state').textContent") == "idle", "the page does not show the new driver's state")
    must(page.run("stampede.state().points.t.length") == 0, "points of the killed driver are still there")
    return again


def pictures(page, out, name):
    if not out:
        return
    for scheme in ("light", "dark"):
        page.browser.colours(scheme)
        for width, height, phone in ((1400, 900, False), (2560, 1300, False), (360, 740, True)):
            page.browser.screen(width, height, phone=phone)
            time.sleep(1.2)
            page.browser.picture(out / f"{name}-{scheme}-{width}.png", width)
    page.browser.colours("light")
    page.browser.screen(1400, 900)


def check_widths(page, must, what):
    for width in (320, 360, 768, 1400, 2560):
        page.browser.screen(width, 900, phone=width < 400)
        time.sleep(0.3)
        widths = page.run("[document.documentElement.scrollWidth, document.body.scrollWidth]")
        must(max(widths) <= width, f"{what}: at {width} pixels the page is {widths} wide")
    page.browser.screen(1400, 900)


NGINX = """worker_processes 1; daemon off; pid FOLDER/nginx.pid; error_log FOLDER/nginx.log;
events { worker_connections 64; }
http { access_log off; client_body_temp_path FOLDER/a; proxy_temp_path FOLDER/b; fastcgi_temp_path FOLDER/c; uwsgi_temp_path FOLDER/d; scgi_temp_path FOLDER/e;
  server { listen 127.0.0.1:PORT; location /stampede/ { proxy_pass http://127.0.0.1:PAGE/; proxy_set_header Host $http_host; } } }
"""


def check_proxy(page, driver, folder, must, told):
    """Behind nginx, below a path: a load is started there, its events come, and its report opens."""
    if not (program := shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")):
        told("  below a path, behind nginx: SKIPPED: it is not installed")
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(NGINX.replace("FOLDER", str(folder)).replace("PORT", str(port)).replace("PAGE", str(driver.port)))
    nginx = subprocess.Popen([program, "-c", str(config), "-e", str(folder / "nginx.log")])
    try:
        deadline = time.monotonic() + 10
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if time.monotonic() > deadline or nginx.poll() is not None:
                raise Fault(f"nginx does not answer: {(folder / 'nginx.log').read_text()}")
            time.sleep(0.05)
        at = f"http://127.0.0.1:{port}/stampede/"
        page.browser.events.clear()
        page.browser.ask("Page.navigate", url=f"{at}#token={driver.token}")
        page.wait("globalThis.stampede && stampede.state() !== null", 10, "the page behind nginx")
        page.click("#start")
        page.run("(() => { const select = document.getElementById('start-plan'); select.value = 'envelopes'; select.dispatchEvent(new Event('change')); })()")
        page.fill("#start-duration_s", 3)
        page.click("#start-form [type=submit]")
        page.wait("stampede.state().points.t.length > 1 && document.getElementById('state').textContent === 'running'", 20, "points behind nginx")
        page.state("done", 30)
        page.run("document.getElementById('tab-download').click()")
        report = page.run("document.querySelector('#panel-download a').href")
        must(report.startswith(at), f"behind nginx the report is at {report}")
        for complaint in complaints(page.browser.events, lambda url: url.startswith((at, "data:", "about:"))):
            must(False, f"behind nginx: {complaint}")
        page.browser.ask("Page.navigate", url=report)
        page.wait("document.readyState === 'complete' && document.querySelector('main h2')?.textContent === 'Verdict'", 10, "the report behind nginx")
        told("  below a path, behind nginx: a load was started and seen, and its report opened")
    finally:
        nginx.terminate()
        nginx.wait()


def check_page(browser, driver, folder, plans, port, args, must, told):
    page = Page(browser, must)
    own = lambda url: url.startswith((f"http://127.0.0.1:{driver.port}/", "data:", "about:"))
    for domain in ["Page", "Runtime", "Log", "Network"]:
        browser.ask(f"{domain}.enable")
    axe = axe_source(folder)
    if axe is None:
        told("  axe-core: SKIPPED: npm does not give it (or name its file in AXE)")
    browser.screen(1400, 900)
    browser.colours("light")
    browser.ask("Page.navigate", url=driver.url)
    page.wait("globalThis.stampede && stampede.state() !== null", 10, "the page")
    must("token" not in page.run("location.href"), "the token is still in the address")
    must(page.run("document.cookie") == "", "scripts can read the cookie")
    page.state("idle", 5)
    check_axe(page, axe, must, "idle", told)
    pictures(page, args.out, "idle")
    check_widths(page, must, "idle")

    # Start, as a person does.
    page.click("#start")
    browser.screen(360, 740, phone=True)
    must(page.run("document.getElementById('start-params').textContent.includes('no_place_to_break')"), "the start dialog does not ask for the plan's parameters")
    widths = page.run("(({ scrollWidth, clientWidth }) => [scrollWidth, clientWidth])(document.getElementById('start-dialog'))")
    must(widths[0] <= widths[1], f"what is in the start dialog is wider than it is: {widths}")
    browser.screen(1400, 900)
    page.run("(() => { const select = document.getElementById('start-plan'); select.value = 'envelopes'; select.dispatchEvent(new Event('change')); })()")
    page.fill("#start-rate", 800)
    check_axe(page, axe, must, "start dialog", told)
    page.click("#start-form [type=submit]")
    page.state("running", 20)
    page.wait("document.querySelectorAll('#tile-arrival .value')[0].textContent !== 'n/a'", 10, "an arrival latency")
    before = page.run("stampede.state().points.t.length")
    page.wait(f"stampede.state().points.t.length > {before} + 3", 10, "three more points")
    rows = check_equal(page.shows("running"), must, "running")
    told(f"  running: tiles and {rows} points of each chart are those of /api/state")
    check_twins(page, must)
    check_hold(page, must)
    check_reload(page, driver, must)
    check_tabs(page, must)
    told(f"  keys: Tab reaches {check_keys(page, must)} elements, arrows move the cursor of all charts")
    check_axe(page, axe, must, "running", told)
    dark = page.run("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    must(page.run("getComputedStyle(document.body).backgroundColor") != dark, "the button does not change the colours")
    time.sleep(1.2)
    check_axe(page, axe, must, "running, dark", told)
    page.click("#theme")
    pictures(page, args.out, "running")
    check_widths(page, must, "running")

    # Edit: another level.
    page.click("#edit")
    page.fill("#edit-rate", 1600)
    page.click("#edit-form [type=submit]")
    page.wait("stampede.state().levels.length === 1 && stampede.state().head.setting?.number === 2", 20, "the second level")
    page.state("running", 20)
    page.wait("document.getElementById('facts').innerText.includes('1600')", 10, "the new setting")
    time.sleep(3)
    must(page.run("stampede.state().head.setting.rate") == 1600, "the second level has another rate than asked for")
    pictures(page, args.out, "edited")
    told("the broker stands still for 5 s:")
    check_losing(page, driver, must, told, args.out)

    # Pause, and go on.
    page.click("#pause")
    page.state("paused", 30)
    must(page.run("stampede.state().levels.length") == 2, "a pause does not end the level")
    page.click("#start")
    page.state("running", 20)
    time.sleep(3)
    page.run("document.getElementById('tab-levels').click()")
    page.click("#stop")
    must(page.run("document.getElementById('stop-dialog').open"), "Stop does not ask")
    page.click("#stop-form [type=submit]")
    page.state("done", 40)
    shown = page.shows("done")
    check_report(page, shown, folder, must)
    check_equal(shown, must, "done")
    told(f"  done: {len(shown['state']['levels'])} levels on the page equal report.json")
    check_axe(page, axe, must, "done", told)
    page.click("#tab-download")
    browser.screen(360, 740, phone=True)
    check_axe(page, axe, must, "downloads", told)
    browser.screen(1400, 900)
    pictures(page, args.out, "done")

    # A second session, whose answers hold markup.
    sweep = shown["state"]["head"]["sweep"]
    status, _, text = driver.act("/api/start", {"plan": "failing.yaml", "params": {"word": "coffee"}, "duration_s": 3})
    must(status == 200, f"the failing plan does not start: {text}")
    page.wait("stampede.state().head.plan === 'failing' && (stampede.state().now.tables?.failures.length ?? 0) > 0", 15, "a failure")
    page.run("document.getElementById('tab-failures').click()")
    page.wait("document.querySelector('#panel-failures code') !== null", 5, "the failure in its table")
    must(page.run("document.querySelector('#panel-failures code').textContent").find("<script>") >= 0, "the answer is not shown as it is")
    must(page.run("document.querySelectorAll('#panel-failures script, #panel-failures img').length") == 0, "an answer has become markup")
    check_axe(page, axe, must, "failing", told)
    if args.out:
        browser.picture(args.out / "failing.png", 1400)
    page.state("done", 20)
    must("owned" not in page.run("document.title"), "a script of others has run")
    threshold = page.run("document.getElementById('thresholds').innerText")
    must("missed: not measured" in threshold, f"a threshold that was never measured is shown as {threshold}")
    status, _, text = driver.act("/api/start", {"plan": "failing.yaml", "params": {"nobody": "1"}})
    must(status == 422 and "nobody" in text, f"a parameter that is none: {status} {text}")

    # Past reports: all are there; two of one kind side by side; one opens.
    driver.act("/api/start", {"plan": "envelopes", "rate": 800, "duration_s": 2})
    page.state("running", 20)
    page.state("done", 30)
    page.run("document.getElementById('tab-reports').click()")
    page.wait("document.querySelectorAll('#panel-reports tbody tr').length >= 3", 10, "three past reports")
    page.run("[0, 2].forEach((at) => document.querySelectorAll('#panel-reports input')[at].click())")
    page.run("[...document.querySelectorAll('#panel-reports button')].find((button) => button.textContent.includes('side by side')).click()")
    page.wait("document.querySelector('.compared img')?.naturalWidth > 0", 15, "the comparison with its picture")
    if args.out:
        time.sleep(1)
        browser.picture(args.out / "compared.png", 1400)
    check_axe(page, axe, must, "past reports", told)
    for complaint in complaints(browser.events, own):
        must(False, complaint)
    browser.events.clear()
    browser.ask("Page.navigate", url=f"http://127.0.0.1:{driver.port}/api/download/{sweep}/report.html")
    page.wait("document.readyState === 'complete' && document.querySelector('main h2')?.textContent === 'Verdict'", 10, "the report")
    must(page.run("(() => { try { return String(localStorage); } catch (error) { return 'refused'; } })()") == "refused", "a report shares the page's origin")

    # The driver is killed in the middle of a load, and started again.
    browser.ask("Page.navigate", url=driver.url)
    page.wait("globalThis.stampede && stampede.state() !== null", 10, "the page")
    driver.act("/api/start", {"plan": "envelopes", "rate": 300, "duration_s": 0})
    page.state("running", 20)
    page.wait("stampede.state().points.t.length > 2", 10, "points")
    told("a hostile page on another origin:")
    check_hostile(page, driver, port, must, told)
    browser.ask("Page.navigate", url=driver.url)
    page.wait("globalThis.stampede && stampede.state()?.points.t.length > 2", 10, "the page")
    page.run("globalThis.boot = stampede.state().boot; true")
    second = page.run(SECOND)
    again = check_killed(page, driver, folder, plans, must)
    told("  killed: the page says that it is lost, keeps what it saw, and shows the new driver once it is there")
    try:
        browser.events.clear()
        check_proxy(page, again, folder, must, told)
        browser.ask("Page.navigate", url=again.url)
        page.wait("globalThis.stampede && stampede.state() !== null", 10, "the page")
        browser.events.clear()
        check_replay(page, must, second, 28_800 if args.long else 7_200, told)
        for complaint in complaints(browser.events, own):
            must(False, complaint)
    finally:
        again.close()


def main():
    parser = arguments(__doc__)
    parser.add_argument("--out", type=pathlib.Path, help="keep pictures of all states there")
    parser.add_argument("--long", action="store_true", help="replay eight hours of ticks, and not two")
    args = parser.parse_args()
    faults, started = [], time.monotonic()
    must = lambda holds, fault: None if holds else faults.append(fault)
    told = lambda text: print(text, flush=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    executable = str(pathlib.Path(driver(profile="release")).resolve())
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stampede-page-", ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(name)
        plan = folder / "failing.yaml"
        plan.write_text(FAILING.replace("PORT", str(port)))
        options = [executable, str(plan)]
        page, browser = None, None
        try:
            page = Driver(executable, folder, str(plan))
            told("requests that must be refused:")
            check_refusals(page, must, told)
            chromium = program()
            if chromium is None:
                print("check page: SKIPPED but for the requests: there is no Chromium (scripts/setup --with chromium)", file=sys.stderr)
            else:
                browser = Chromium(chromium, folder, deadline=600)
                check_page(browser, page, folder, options, port, args, must, told)
        except Fault as fault:
            faults.append(str(fault))
        finally:
            if browser:
                browser.close()
            if page:
                page.close()
            server.shutdown()
    for fault in faults:
        print(f"check page: {fault}", file=sys.stderr)
    if faults:
        return 1
    print(f"check page: all of it works ({time.monotonic() - started:.0f} s)")
    return 0
