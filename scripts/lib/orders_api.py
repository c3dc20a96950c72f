"""The test API of examples/orders.yaml, as a stranger would write it: one process, which prints its port once it listens there.

Every request but those under /api/v1/test needs a proof of possession (RFC 9449) with one of the newest nonces, verified by PyJWT. An account
has one device at a time; an order is made, changed, and deleted, in this order and by whom it belongs to. GET /stats tells what has happened.
"""

import asyncio
import base64
import collections
import hashlib
import json
import secrets
import time

import jwt
from aiohttp import web

ROTATE_S = 3.0


class Api:
    def __init__(self) -> None:
        self.nonces = collections.deque([secrets.token_hex(8)], maxlen=3)
        self.rotated = time.monotonic()
        self.jtis: set[str] = set()
        self.devices: dict[str, str] = {}
        self.orders: dict[str, tuple[str, str]] = {}
        self.answers: collections.Counter[str] = collections.Counter()
        self.made = self.deleted = 0
        self.requests: collections.Counter[str] = collections.Counter()

    def nonce(self) -> str:
        if time.monotonic() - self.rotated > ROTATE_S:
            self.nonces.append(secrets.token_hex(8))
            self.rotated = time.monotonic()
        return self.nonces[-1]

    def answer(self, request: web.Request, status: int, body: object = None, why: str = "") -> web.Response:
        self.answers[f"{status} {why}".strip()] += 1
        headers = {"DPoP-Nonce": self.nonce()}
        if status == 401 and why == "use_dpop_nonce":
            headers["WWW-Authenticate"] = 'DPoP error="use_dpop_nonce"'
        if status == 204:
            return web.Response(status=204, headers=headers)
        return web.json_response({"error": why} if body is None else body, status=status, headers=headers)

    def refused(self, request: web.Request) -> tuple[int, str] | None:
        """Why a proof is not taken."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "DPoP" or not token:
            return 401, "no token"
        proof = request.headers.get("DPoP", "")
        try:
            head = jwt.get_unverified_header(proof)
            key = jwt.PyJWK.from_dict(head["jwk"]).key
            claims = jwt.decode(proof, key, algorithms=["ES256"], options={"verify_iat": False})
        except Exception as error:  # noqa: BLE001 whatever is wrong with it
            return 401, f"proof: {error}"
        if head.get("typ") != "dpop+jwt" or "d" in head["jwk"]:
            return 401, "typ or private key"
        if claims["htm"] != request.method or claims["htu"] != f"http://{request.host}{request.rel_url.raw_path}":
            return 401, f"htm or htu: {claims['htm']} {claims['htu']}"
        if abs(time.time() - claims["iat"]) > 60:
            return 401, "iat"
        ath = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
        if claims.get("ath") != ath:
            return 401, "ath"
        if claims["jti"] in self.jtis:
            return 401, "replayed"
        self.jtis.add(claims["jti"])
        if claims.get("nonce") not in self.nonces:
            return 401, "use_dpop_nonce"
        return None

    def stats(self) -> dict[str, object]:
        orders = {"made": self.made, "deleted": self.deleted, "left": len(self.orders)}
        faults = {"double_log_ins": "409 logged in twice", "out_of_order": "409 order of things", "replayed": "401 replayed"}
        told = {name: self.answers[why] for name, why in faults.items()}
        return {"answers": self.answers, "requests": self.requests, "orders": orders, "logged_in": len(self.devices), **told}

    async def handle(self, request: web.Request) -> web.Response:
        method, path = request.method, request.path
        parts = path.strip("/").split("/")
        if path == "/stats":
            return web.json_response(self.stats())
        body = await request.read()
        if parts[2:3] == ["test"]:
            self.requests[f"{method} {path[1:]}"] += 1
        if path == "/api/v1/test/key":
            return self.answer(request, 200, {"key": "k-1"}) if request.headers.get("X-Admin") == "hush" else self.answer(request, 403, why="admin")
        if path == "/api/v1/test/account":
            return self.answer(request, 204) if request.headers.get("X-Key") == "k-1" else self.answer(request, 403, why="key")
        if refused := self.refused(request):
            return self.answer(request, refused[0], why=refused[1])
        token = request.headers["Authorization"].split(" ")[1]
        name = f"{method} {'/'.join(parts[:3])}" + ("/ID" if len(parts) > 3 else "")
        self.requests[name] += 1
        if path == "/api/v1/login":
            device = json.loads(body)["device"]
            if token in self.devices:
                return self.answer(request, 409, why="logged in twice")
            self.devices[token] = device
            return self.answer(request, 200, {})
        if token not in self.devices:
            return self.answer(request, 403, why="not logged in")
        if path == "/api/v1/logout":
            del self.devices[token]
            return self.answer(request, 200, {})
        if path == "/api/v1/orders":
            if method == "GET":
                return self.answer(request, 200, []) if request.query.get("user") else self.answer(request, 400, why="user")
            order = json.loads(body)
            if not isinstance(order["id"], int) or not isinstance(order["run"], str) or order["item"] not in ("tea", "coffee"):
                return self.answer(request, 400, why="order")
            made = secrets.token_hex(8)
            self.orders[made] = (token, "new")
            self.made += 1
            return self.answer(request, 201, {"order": {"id": made}})
        owner, state = self.orders.get(parts[-1], ("", ""))
        if owner != token:
            return self.answer(request, 404, why="order")
        if method == "PATCH":
            if state != "new" or not isinstance(json.loads(body)["amount"], int):
                return self.answer(request, 409, why="order of things")
            self.orders[parts[-1]] = (token, "changed")
            return self.answer(request, 200, {})
        if state != "changed":
            return self.answer(request, 409, why="order of things")
        del self.orders[parts[-1]]
        self.deleted += 1
        return self.answer(request, 204)


async def serve() -> None:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", Api().handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
