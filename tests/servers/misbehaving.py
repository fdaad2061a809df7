"""A proxy in front of a tracking server that answers, hangs, cuts and forgets as it is told."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Mood = Literal["answer", "500", "503", "hang", "cut", "forget", "done, 500"]
"""Hand on; refuse with an error; never answer; close while the request is being sent; do it and lose the answer; do it
and answer with an error."""
SECONDS_HANGING = 20


@dataclass
class Proxy:
    """Where it listens, and how it behaves."""

    uri: str
    decide: Callable[[str, str], Mood] = lambda method, path: "answer"
    """Given the method and the path of a request."""
    asked: list[tuple[str, str, Mood]] = field(default_factory=list)
    wake: threading.Event = field(default_factory=threading.Event)


@contextmanager
def misbehaving(port: int) -> Iterator[Proxy]:
    """A proxy in front of a server on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    proxy = Proxy(f"http://127.0.0.1:{server.server_address[1]}")
    server.proxy, server.behind = proxy, port  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.wake.set()
        server.shutdown()
        server.server_close()


def once(mood: Mood, method: str, part: str, *, at: int = 1) -> Callable[[str, str], Mood]:
    """Misbehave at the n-th request of a kind, and never before or after."""
    return _counted(mood, method, part, lambda n: n == at)


def from_then_on(mood: Mood, method: str, part: str, *, at: int = 1) -> Callable[[str, str], Mood]:
    """Misbehave from the n-th request of a kind on, whatever is asked."""
    return _counted(mood, method, part, lambda n: n >= at)


def _counted(mood: Mood, method: str, part: str, when: Callable[[int], bool]) -> Callable[[str, str], Mood]:
    n = 0

    def decide(asked: str, path: str) -> Mood:
        nonlocal n
        meant = asked == method and part in path
        n += meant
        return mood if when(n) and (meant or n > 1) else "answer"

    return decide


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        proxy: Proxy = self.server.proxy  # type: ignore[attr-defined]
        mood = proxy.decide(self.command, self.path)
        proxy.asked.append((self.command, self.path, mood))
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length // 2 if mood == "cut" else length) if mood in ("cut", "hang", "500", "503") else None
        if mood == "hang":
            proxy.wake.wait(SECONDS_HANGING)
        if mood in ("cut", "hang"):
            self.close_connection = True
            self.connection.close()
        elif mood in ("500", "503"):
            self.send_response(int(mood))
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._hand_on(mood)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 - names of the standard library

    def _hand_on(self, mood: Mood) -> None:
        behind = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=120)  # type: ignore[attr-defined]
        body = self._body()
        behind.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                behind.putheader(name, value)
        behind.putheader("Content-Length", str(len(body)))
        behind.endheaders(body)
        answer = behind.getresponse()
        content = answer.read()
        behind.close()
        if mood == "forget":
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(500 if mood == "done, 500" else answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "server", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
