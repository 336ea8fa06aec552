"""A loopback server that speaks as much of the hub's HTTP API as `datasets` and `huggingface_hub` need to read Parquet.

Everything it is asked for is kept in ``log``, so that a test can say what was never fetched.
"""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

import cme
from cme.suite import datasets
from tests.hub_rows import HAND_ROWS

REVISION = "0123456789abcdef0123456789abcdef01234567"
MOVED = "f" * 40

Failure = int | str | tuple[int, dict[str, str]]
"""A status code (with headers), ``"cut"``: half of the file, ``"wrong"``: other bytes, ``"endless"``: all of it and then bytes
without end, ``"hang"``: half, and then nothing."""

_FILE = re.compile(r"(?:/datasets)?/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_API = re.compile(r"/api/(?:datasets|models)/([^/]+/[^/]+)(?:/(revision|tree|paths-info)/([^/]+)(?:/(.*))?)?")


class HubServer:
    """A hub with the given repositories (of datasets or models), on a free port of 127.0.0.1, while the ``with`` block runs.

    Args:
        repositories: repository id → path in it → the file's bytes, at every commit; ``id@commit`` has others at that commit.
        failing: ``repository/path`` (a file) or ``repository`` (its API) → what to answer instead, see `Failure`; a list is
            used up, one answer to every GET, and what comes after it is right.
        moving: repositories whose ``main`` is another commit (`MOVED`) as soon as a file was fetched.
        heads: repository id → the commit that ``main`` is, if not `REVISION`.
        large: files with one of these words in their path are in large-file storage, with a SHA-256.
    """

    def __init__(
        self,
        repositories: Mapping[str, Mapping[str, bytes]],
        failing: "dict[str, Failure | list[Failure]] | None" = None,
        moving: tuple[str, ...] = (),
        heads: dict[str, str] | None = None,
        large: tuple[str, ...] = ("train",),
    ) -> None:
        self.repositories = repositories
        self.failing = failing or {}
        self.moving = moving
        self.heads = heads or {}
        self.sent = 0
        self.large = large
        self.hanging, self.released = threading.Event(), threading.Event()
        self.ranges: list[tuple[str, str | None]] = []
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

    def failure(self, key: str, method: str) -> "Failure | None":
        """What to answer instead of the truth."""
        failure = self.failing.get(key)
        if not isinstance(failure, list):
            return failure
        return failure.pop(0) if failure and method == "GET" else None

    def files(self, repository: str, commit: str) -> Mapping[str, bytes] | None:
        """The files of a repository at a commit."""
        return self.repositories.get(f"{repository}@{commit}", self.repositories.get(repository))

    def checksum(self, path: str, content: bytes) -> str:
        """A file's name in the storage: its SHA-256, or the git blob's SHA-1."""
        return hashlib.sha256(content).hexdigest() if self.is_large(path) else _oid(content)

    def is_large(self, path: str) -> bool:
        """Whether a file is in large-file storage."""
        return any(word in path for word in self.large)

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
        moved = fetched and repository in self.server_hub.moving
        return MOVED if moved else self.server_hub.heads.get(repository, REVISION)

    def _file(self, repository: str, revision: str, path: str) -> None:
        commit = self._commit(repository, revision)
        files = self.server_hub.files(repository, commit)
        if files is None:
            return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        if path not in files:
            return self._send(404, b"{}", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        wanted = self.headers.get("Range")
        if self.command == "GET":
            self.server_hub.ranges.append((f"{repository}/{path}", wanted))
        failure = self.server_hub.failure(f"{repository}/{path}", self.command)
        if self._refused(failure):
            return None
        content = bytes(reversed(files[path])) if failure == "wrong" else files[path]
        etag = self.server_hub.checksum(path, files[path])
        headers = {"X-Repo-Commit": commit, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
        if not wanted:
            return self._send(200, content, headers, "binary/octet-stream", stop=failure)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(content)), len(content) - 1)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        return self._send(206, content[start : end + 1], headers, "binary/octet-stream", stop=failure)

    def _refused(self, failure: "Failure | None") -> bool:
        status, headers = failure if isinstance(failure, tuple) else (failure, {})
        if isinstance(status, int):
            self._send(status, b"{}", headers)
        return isinstance(status, int)

    def _api(self, repository: str, what: str | None, revision: str, path: str, body: bytes) -> None:
        commit = self._commit(repository, revision)
        files = self.server_hub.files(repository, commit)
        if files is None:
            return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        if self._refused(self.server_hub.failure(repository, self.command)):
            return None
        if what == "tree":
            return self._json(self._tree(files, path, recursive="recursive=true" in urlsplit(self.path).query.lower()))
        if what == "paths-info":
            wanted = _wanted(body)
            return self._json([entry for entry in self._tree(files, "", recursive=True) if entry["path"] in wanted])
        siblings = [{"rfilename": name} for name in files]
        return self._json(
            {
                "id": repository,
                "sha": commit,
                "private": False,
                "gated": False,
                "tags": [],
                "siblings": siblings,
            }
        )

    def _tree(self, files: Mapping[str, bytes], folder: str, *, recursive: bool) -> list[dict[str, Any]]:
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
                if self.server_hub.is_large(path):
                    oid = self.server_hub.checksum(path, content)
                    entries[path]["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 130}
        return list(entries.values())

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode())

    def _send(
        self,
        status: int,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        kind: str = "application/json",
        *,
        stop: "Failure | None" = None,
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            if not (stop == "endless" and name in ("Content-Length", "Content-Range")):
                self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        half = stop in ("cut", "hang")
        self.wfile.write(body[: len(body) // 2] if half else body)
        if stop == "endless":
            self.close_connection = True
            with suppress(OSError):
                for _ in range(1000):  # a gigabyte, if the client takes it
                    self.wfile.write(bytes(1 << 20))
                    self.server_hub.sent += 1 << 20
        if stop == "hang":
            self.wfile.flush()
            self.server_hub.hanging.set()
            self.server_hub.released.wait(60)
        self.close_connection = self.close_connection or half


def _oid(content: bytes) -> str:
    """A git blob's name."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _wanted(body: bytes) -> set[str]:
    text = body.decode()
    if text.startswith("{"):
        paths = json.loads(text)["paths"]
        return {paths} if isinstance(paths, str) else set(paths)
    return {unquote(item.partition("=")[2]).replace("+", " ") for item in text.split("&") if item.startswith("paths=")}


def parquet(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows as a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), buffer)
    return buffer.getvalue()


def suite_repositories() -> dict[str, dict[str, bytes]]:
    """All repositories of the suite with hand-written rows; QQP's training split is in two files."""
    found: dict[str, dict[str, bytes]] = {}
    configs: dict[str, dict[str, dict[str, str]]] = {}
    for spec in datasets(beside=True).values():
        for subset in spec.subsets:
            for split in (subset.train, subset.eval):
                config, rows = subset.config or "default", HAND_ROWS[f"{subset.folder}/{split}"]
                files = {f"{split}.parquet": rows}
                if (spec.name, split) == ("qqp", "train"):
                    files = {f"{split}-00000-of-00002.parquet": rows[:1], f"{split}-00001-of-00002.parquet": rows[1:]}
                for name, some in files.items():
                    found.setdefault(spec.hub_id, {})[f"{config}/{name}"] = parquet(some)
                configs.setdefault(spec.hub_id, {}).setdefault(config, {})[split] = f"{config}/{split}*.parquet"
    for hub_id, of in configs.items():
        found[hub_id]["README.md"] = card(of)
    return found


def card(configs: Mapping[str, Mapping[str, str]]) -> bytes:
    """A README whose YAML head says which files (a pattern) belong to which configuration and split."""
    head = [
        {"config_name": config, "data_files": [{"split": split, "path": path} for split, path in splits.items()]}
        for config, splits in configs.items()
    ]
    # JSON is YAML.
    return f"---\n{json.dumps({'configs': head})}\n---\n# A dataset\n".encode()


def client_environment(endpoint: str, home: Path, **further: str) -> dict[str, str]:
    """The environment of a process that takes this server for the hub; ``CME_LOCK`` lies in its home."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING", "CME_LOCK"))
    }
    return inherited | {
        "PYTHONPATH": str(Path(cme.__file__).parents[1]),
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "TQDM_DISABLE": "1",
        **further,
    }


class HubClient:
    """A process that reads the hub for a test, see `tests.data.hub_client`; use in a ``with`` block."""

    def __init__(self, endpoint: str, home: Path, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("hub_client.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=client_environment(endpoint, home, **environment),
        )

    def __enter__(self) -> "HubClient":
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.communicate()

    def __call__(self, request: Any) -> Any:
        """The answer to one request."""
        assert self._process.stdin and self._process.stdout
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())
