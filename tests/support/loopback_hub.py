"""A Hugging Face Hub on 127.0.0.1 with a thread of its own: the routes that a download uses, and what can go wrong.

It speaks as the hub does: large files (LFS) are redirected to another origin, as to a CDN, with their SHA-256.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import web

LARGE = 1000  # bytes from which on a file is kept in LFS
BLOCK = 1 << 14
_WAIT = 30.0


@dataclass(frozen=True)
class Asked:
    """One request. range: the header. key: the authorization header."""

    method: str
    path: str
    range: str | None
    key: str | None


class LoopbackHub:
    """repositories: files by path, by `owner/name`; may be changed at any time.

    A test sets what goes wrong with a file, by its path: cuts: the connection ends before these positions, one a
    request; stops: nothing comes from this position on, until the hub ends; spoilt: these bytes come instead. sizes:
    what the listing claims. statuses: by a part of a request's path, its status and the hub's code. without_ranges:
    whole files come, whatever is asked for. token: what gated repositories ask for.
    """

    def __init__(self, repositories: Mapping[str, Mapping[str, bytes]]) -> None:
        self.repositories = {name: dict(files) for name, files in repositories.items()}
        self.asked: list[Asked] = []
        self.cuts: dict[str, list[int]] = {}
        self.stops: dict[str, int] = {}
        self.stopped = threading.Event()
        self.spoilt: dict[str, bytes] = {}
        self.sizes: dict[str, int] = {}
        self.statuses: dict[str, tuple[int, str]] = {}
        self.without_ranges = False
        self.token: str | None = None
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._end = asyncio.Event()
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def gets(self, path: str) -> list[Asked]:
        """The requests for the content of a file."""
        return [asked for asked in self.asked if asked.method == "GET" and asked.path.endswith(f"/cdn/{path}")]

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(_WAIT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nobody answers any more."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(_WAIT)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application(middlewares=[self._note])
        app.router.add_get("/api/models/{owner}/{name}", self._info)
        app.router.add_get("/api/models/{owner}/{name}/revision/{revision}", self._info)
        app.router.add_get("/api/models/{owner}/{name}/tree/{commit}", self._tree)
        app.router.add_get("/{owner}/{name}/resolve/{revision}/{path:.+}", self._resolve)
        app.router.add_get("/{owner}/{name}/cdn/{path:.+}", self._content)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._port = runner.addresses[0][1]
        self._ready.set()
        await self._end.wait()
        await runner.cleanup()

    @web.middleware
    async def _note(self, request: web.Request, handler: Any) -> web.StreamResponse:
        header = request.headers
        self.asked.append(Asked(request.method, request.path, header.get("Range"), header.get("Authorization")))
        for part, (status, code) in self.statuses.items():
            if part in request.path:
                return web.Response(status=status, headers={"X-Error-Code": code})
        answer: web.StreamResponse = await handler(request)
        return answer

    def _files(self, request: web.Request) -> dict[str, bytes]:
        try:
            return self.repositories[f"{request.match_info['owner']}/{request.match_info['name']}"]
        except KeyError:
            raise web.HTTPUnauthorized(headers={"X-Error-Code": "RepoNotFound"}) from None

    async def _info(self, request: web.Request) -> web.Response:
        files = self._files(request)
        name = f"{request.match_info['owner']}/{request.match_info['name']}"
        siblings = [{"rfilename": path} for path in files]
        return web.json_response({"_id": "1", "id": name, "sha": commit_of(files), "siblings": siblings})

    async def _tree(self, request: web.Request) -> web.Response:
        entries = [{"type": "directory", "path": "onnx", "oid": "0" * 40}]
        entries += [self._entry(path, content) for path, content in self._files(request).items()]
        return web.json_response(entries)

    def _entry(self, path: str, content: bytes) -> dict[str, Any]:
        size = self.sizes.get(path, len(content))
        entry: dict[str, Any] = {"type": "file", "path": path, "size": size, "oid": git_id(content)}
        if len(content) >= LARGE:
            entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": size, "pointerSize": 130}
        return entry

    async def _resolve(self, request: web.Request) -> web.Response:
        files, path = self._files(request), request.match_info["path"]
        headers = {"X-Repo-Commit": commit_of(files)}
        if path not in files:
            return web.Response(status=404, headers={**headers, "X-Error-Code": "EntryNotFound"})
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401, headers={"X-Error-Code": "GatedRepo"})
        content = files[path]
        if len(content) >= LARGE:
            headers |= {"X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Linked-Size": str(len(content))}
        else:
            headers["ETag"] = f'"{git_id(content)}"'
        # Another name of this machine is another origin, which must not see a token.
        place = f"/{request.match_info['owner']}/{request.match_info['name']}/cdn/{path}"
        return web.Response(status=302, headers={**headers, "Location": f"http://localhost:{self._port}{place}"})

    async def _content(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        content = self.spoilt.get(path, self._files(request)[path])
        start = request.http_range.start or 0
        if self.without_ranges:
            start = 0
        answer = web.StreamResponse(status=206 if start else 200)
        answer.content_length = len(content) - start
        await answer.prepare(request)
        cuts = self.cuts.get(path)
        end = cuts.pop(0) if cuts else self.stops.get(path, len(content))
        for position in range(start, end, BLOCK):
            await answer.write(content[position : min(position + BLOCK, end)])
        if end < len(content):
            if path in self.stops:
                self.stopped.set()
                await self._end.wait()
            if request.transport is not None:  # else the client has left
                request.transport.close()
        return answer


def git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def commit_of(files: Mapping[str, bytes]) -> str:
    """Of the newest commit of a repository with these files."""
    ids = " ".join(f"{path} {git_id(content)}" for path, content in sorted(files.items()))
    return hashlib.sha1(ids.encode(), usedforsecurity=False).hexdigest()
