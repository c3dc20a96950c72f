"""As much of a Kubernetes API server as `helm template --dry-run=server` asks for: which kinds there are, and one Secret."""

import http.server
import json
import threading


class ApiServer:
    """Knows the kinds of these documents and has this Secret, which a release of Helm made."""

    def __init__(self, documents: list[dict], secret: dict, release: str) -> None:
        metadata = secret["metadata"]
        metadata |= {"annotations": {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": metadata["namespace"]}}
        self.answers = {
            "/version": {"major": "1", "minor": "30", "gitVersion": "v1.30.0"},
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            f"/api/v1/namespaces/{metadata['namespace']}/secrets/{metadata['name']}": secret,
        }
        groups = []
        for version in sorted({document["apiVersion"] for document in documents}):
            kinds = sorted({document["kind"] for document in documents if document["apiVersion"] == version})
            resources = [{"name": plural(kind), "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": ["get"]} for kind in kinds]
            listed = {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
            if "/" in version:
                group, number = version.split("/")
                named = {"groupVersion": version, "version": number}
                groups.append({"name": group, "versions": [named], "preferredVersion": named})
            self.answers[f"/apis/{version}" if "/" in version else f"/api/{version}"] = listed
        self.answers["/apis"] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def __enter__(self) -> str:
        """Its address."""
        answers = self.answers

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = answers.get(self.path.split("?")[0])
                none = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
                self.send_response(200 if answer else 404)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(answer or none).encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def plural(kind: str) -> str:
    return (kind[:-1] + "ies" if kind.endswith("y") else kind + "s").lower()
