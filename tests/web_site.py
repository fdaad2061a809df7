"""A web server on this machine whose answers a test decides."""

from __future__ import annotations

import http.server
from collections.abc import Callable, Iterator

CSV = b"age,town\n" + b"".join(f"{20 + at % 40},{'Ulm' if at % 3 else 'Bonn'}\n".encode() for at in range(60))


class Site(http.server.ThreadingHTTPServer):
    """Answers each path by the function that a test has set, and counts what is asked."""

    daemon_threads = True
    answers: dict[str, Callable[[http.server.BaseHTTPRequestHandler], None]]
    asked: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        site: Site = self.server  # type: ignore[assignment]
        site.asked.append(self.path)
        path = self.path.partition("?")[0]
        (site.answers[path] if path in site.answers else status(404))(self)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing."""


def body(content: bytes, **headers: str) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    """A whole answer; `Content_Type` stands for the header of that name."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        for name, value in {"Content-Length": str(len(content)), "Connection": "close", **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def status(code: int, **headers: str) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    """An answer without content."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in {"Content-Length": "0", "Connection": "close", **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()

    return answer


def until_closed(contents: Iterator[bytes]) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    """Answers that say no length: the connection ends them."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(next(contents))

    return answer
