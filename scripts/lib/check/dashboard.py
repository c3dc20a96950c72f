"""Does Prometheus understand the Grafana dashboard? Asks it every query of deploy/grafana/dashboards/stampede.json, annotations included.

  scripts/check dashboard [--prometheus URL] [--data] [--seconds 60]

Fails and names each query that Prometheus does not understand; with --data also each that finds nothing in the last seconds. Without a Prometheus it checks the dashboard's form
alone: --form.
"""

import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from shared import ROOT, arguments

DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "stampede.json"
# What Grafana puts in place of its variables; its own rule for the interval is four scrapes.
VARIABLES = {"$__rate_interval": "10s", "$__interval": "2s", "$run": ".*"}


def queries(dashboard: dict) -> list[tuple[str, str]]:
    """Where each query stands, and the query."""
    found = []
    for annotation in dashboard["annotations"]["list"]:
        if "expr" in annotation:
            found.append((f"annotation {annotation['name']}", annotation["expr"]))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            where = f"panel {panel['title']}, {target.get('legendFormat') or target['refId']}"
            found.append((where, target["expr"]))
    return found


def form(dashboard: dict) -> list[str]:
    """What Grafana would stumble over."""
    faults = []
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(set(ids)) != len(ids):
        faults.append("two panels have the same id")
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        if at["x"] + at["w"] > 24:
            faults.append(f"panel {panel['title']} is too wide")
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            if cell in taken:
                faults.append(f"panels {panel['title']} and {taken[cell]} lie upon each other")
                break
            taken[cell] = panel["title"]
        if panel["type"] != "row" and panel["datasource"]["uid"] != "stampede-prometheus":
            faults.append(f"panel {panel['title']} has another data source than the provisioned one")
        if panel["type"] != "row" and not panel.get("targets"):
            faults.append(f"panel {panel['title']} asks nothing")
    return faults


def ask(prometheus: str, query: str, seconds: int) -> int:
    """How many series answer. Raises RuntimeError with what Prometheus says against it."""
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    now = time.time()
    values = urllib.parse.urlencode({"query": query, "start": now - seconds, "end": now, "step": 2}).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{prometheus}/api/v1/query_range", values, timeout=10) as answer:
            series = json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        raise RuntimeError(json.load(error)["error"]) from error
    # A quotient of nothing and nothing is no number, and no data.
    return sum(any("histograms" in one or value[1] != "NaN" for value in one.get("values", [[0, "0"]])) for one in series)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--prometheus", metavar="URL", default="http://127.0.0.1:9090")
    parser.add_argument("--data", action="store_true", help="each query must find something")
    parser.add_argument("--seconds", type=int, default=60, help="how far back to look")
    parser.add_argument("--form", action="store_true", help="ask no Prometheus")
    args = parser.parse_args()
    dashboard = json.loads(DASHBOARD.read_text())
    faults, asked = form(dashboard), queries(dashboard)
    for where, query in [] if args.form else asked:
        try:
            series = ask(args.prometheus, query, args.seconds)
        except RuntimeError as error:
            faults.append(f"{where}: {error}: {query}")
            continue
        except OSError as error:
            sys.exit(f"check-dashboard: no Prometheus answers at {args.prometheus}: {error}")
        print(f"{series:>4} series  {where}")
        if args.data and not series:
            faults.append(f"{where} finds nothing: {query}")
    for fault in faults:
        print(f"check-dashboard: {fault}", file=sys.stderr)
    print(f"check-dashboard: {len(asked)} queries, {len(faults)} faults")
    sys.exit(1 if faults else 0)
