"""A loopback server that takes as much of the hub's HTTP API as `huggingface_hub` needs to upload a dataset."""

import base64
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"

_API = re.compile(r"/api/datasets/([^/]+/[^/]+)(?:/(revision|tree|preupload|commit)/.*)?")


class HubWriter:
    """A hub that keeps what is uploaded, on a free port of 127.0.0.1, while the ``with`` block runs.

    Args:
        token: the only token that may write.
    """

    def __init__(self, token: str) -> None:
        self.token = token
        self.private: dict[str, bool] = {}
        self.files: dict[str, dict[str, bytes]] = {}
        self.messages: list[str] = []
        hub = self

        class Handler(_Handler):
            server_hub = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "HubWriter":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_hub: HubWriter
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""

    def _answer(self, body: bytes) -> None:
        hub, path = self.server_hub, unquote(urlsplit(self.path).path)
        if self.headers.get("Authorization") != f"Bearer {hub.token}":
            return self._send(401, {"error": "Invalid username or password."})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return self._send(200, {"warnings": [], "errors": []})
        match = _API.fullmatch(path)
        if match is None or match[1] not in hub.files:
            return self._send(404, {}, {"X-Error-Code": "RepoNotFound"})
        name, files = match[1], hub.files[match[1]]
        if match[2] == "tree":
            return self._send(
                200, [{"type": "file", "path": path, "oid": "0" * 40, "size": len(files[path])} for path in files]
            )
        if match[2] == "preupload":
            requested = [item["path"] for item in json.loads(body)["files"]]
            return self._send(
                200, {"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in requested]}
            )
        if match[2] == "commit":
            return self._commit(name, [json.loads(line) for line in body.splitlines()])
        siblings = [{"rfilename": path} for path in files]
        return self._send(
            200, {"id": name, "sha": COMMIT, "private": hub.private[name], "tags": [], "siblings": siblings}
        )

    def _create(self, requested: dict[str, Any]) -> None:
        hub = self.server_hub
        name = f"{requested.get('organization') or 'me'}/{requested['name']}"
        url = {"url": f"{hub.endpoint}/datasets/{name}"}
        if name in hub.files:
            return self._send(409, url)
        hub.files[name], hub.private[name] = {".gitattributes": b""}, requested.get("visibility") == "private"
        return self._send(200, url)

    def _commit(self, name: str, lines: list[dict[str, Any]]) -> None:
        files = self.server_hub.files[name]
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.server_hub.messages.append(value["summary"])
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del files[value["path"]]
            else:
                return self._send(400, {"error": f"unknown key {line['key']}"})
        url = f"{self.server_hub.endpoint}/datasets/{name}/commit/{COMMIT}"
        return self._send(200, {"success": True, "commitOid": COMMIT, "commitUrl": url})

    def _send(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for key, text in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(key, text)
        self.end_headers()
        self.wfile.write(body)
