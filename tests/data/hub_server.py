"""A loopback server that speaks as much of the hub's HTTP API as `datasets` and `huggingface_hub` need to read Parquet.

Everything it is asked for is kept in ``log``, so that a test can say what was never fetched.
"""

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

REVISION = "0123456789abcdef0123456789abcdef01234567"
MOVED = "f" * 40

_FILE = re.compile(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_API = re.compile(r"/api/datasets/([^/]+/[^/]+)(?:/(revision|tree|paths-info)/([^/]+)(?:/(.*))?)?")


class HubServer:
    """A hub with the given dataset repositories, on a free port of 127.0.0.1, while the ``with`` block runs.

    Args:
        repositories: repository id → path in it → the file's bytes. Its only commit is `REVISION`.
        moving: repositories whose ``main`` is another commit (`MOVED`) as soon as a file was fetched.
        failing: ``repository/path`` → a status code to answer with, or ``"cut"`` to send half of the file.
    """

    def __init__(
        self,
        repositories: Mapping[str, Mapping[str, bytes]],
        failing: Mapping[str, int | str] | None = None,
        moving: tuple[str, ...] = (),
    ) -> None:
        self.repositories = repositories
        self.failing = failing or {}
        self.moving = moving
        self.log: list[tuple[str, str]] = []
        hub = self

        class Handler(_Handler):
            server_hub = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "HubServer":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def downloads(self) -> list[str]:
        """Paths of the files whose content was asked for, as ``repository/path``."""
        found = [_FILE.fullmatch(path) for method, path in self.log if method == "GET"]
        return [f"{match[1]}/{match[3]}" for match in found if match]


class _Handler(BaseHTTPRequestHandler):
    server_hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server_hub.log.append((self.command, path))
        if match := _FILE.fullmatch(path):
            self._file(match[1], match[2], match[3])
        elif match := _API.fullmatch(path):
            self._api(match[1], match[2], match[3] or "main", match[4] or "", body)
        else:
            self._send(404, b"{}")

    def _commit(self, repository: str, revision: str) -> str:
        if revision != "main":
            return revision
        fetched = any(
            path.startswith(f"{repository}/") and path.endswith(".parquet") for path in self.server_hub.downloads()
        )
        return MOVED if fetched and repository in self.server_hub.moving else REVISION

    def _file(self, repository: str, revision: str, path: str) -> None:
        files = self.server_hub.repositories.get(repository)
        if files is None:
            return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        if path not in files:
            return self._send(
                404, b"{}", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": self._commit(repository, revision)}
            )
        failure = self.server_hub.failing.get(f"{repository}/{path}")
        if isinstance(failure, int):
            return self._send(failure, b"{}")
        headers = {"X-Repo-Commit": self._commit(repository, revision), "ETag": f'"{_oid(files[path])}"'}
        return self._send(200, files[path], headers, "binary/octet-stream", cut=failure == "cut")

    def _api(self, repository: str, what: str | None, revision: str, path: str, body: bytes) -> None:
        files = self.server_hub.repositories.get(repository)
        if files is None:
            return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        if what == "tree":
            return self._json(_tree(files, path, recursive="recursive=true" in urlsplit(self.path).query.lower()))
        if what == "paths-info":
            wanted = _wanted(body)
            return self._json([entry for entry in _tree(files, "", recursive=True) if entry["path"] in wanted])
        siblings = [{"rfilename": name} for name in files]
        return self._json(
            {
                "id": repository,
                "sha": self._commit(repository, revision),
                "private": False,
                "gated": False,
                "tags": [],
                "siblings": siblings,
            }
        )

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode())

    def _send(
        self,
        status: int,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        kind: str = "application/json",
        *,
        cut: bool = False,
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.close_connection = self.close_connection or cut


def _oid(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _tree(files: Mapping[str, bytes], folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    prefix = f"{folder}/" if folder else ""
    entries: dict[str, dict[str, Any]] = {}
    for path, content in files.items():
        if not path.startswith(prefix):
            continue
        steps = path.removeprefix(prefix).split("/")
        for depth in range(1, len(steps)):
            name = prefix + "/".join(steps[:depth])
            if depth == 1 or recursive:
                entries[name] = {"type": "directory", "path": name, "oid": _oid(name.encode()), "size": 0}
        if len(steps) == 1 or recursive:
            entries[path] = {"type": "file", "path": path, "oid": _oid(content), "size": len(content)}
    return list(entries.values())


def _wanted(body: bytes) -> set[str]:
    text = body.decode()
    if text.startswith("{"):
        paths = json.loads(text)["paths"]
        return {paths} if isinstance(paths, str) else set(paths)
    return {unquote(item.partition("=")[2]).replace("+", " ") for item in text.split("&") if item.startswith("paths=")}
