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
import pathlib
import sys
import tempfile
import time

from browser import Chromium, Fault, complaints, program
from shared import arguments

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

    faults.extend(complaints(browser.events, lambda url: url == file.as_uri()))
    return faults, levels


def main():
    parser = arguments(__doc__)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, help="keep pictures there: wide.png, dark.png, phone.png")
    parser.add_argument("--print", action="store_true", dest="with_print", help="and print.pdf")
    args = parser.parse_args()
    file = args.file.resolve()
    if not file.is_file():
        sys.exit(f"check html: no such file: {args.file}")
    chromium = program()
    if chromium is None:
        print("check html: SKIPPED, nothing was checked: there is no Chromium (scripts/setup --with chromium)", file=sys.stderr)
        return 0
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="stampede-html-", ignore_cleanup_errors=True) as folder:
        browser = None
        try:
            browser = Chromium(chromium, pathlib.Path(folder))
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
