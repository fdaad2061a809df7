"""A language model's endpoint on loopback, which answers as a script says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers with what the server's script says for this request: its place, its body."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            at = len(self.server.asked)
            self.server.asked.append(
                {"body": body, "headers": dict(self.headers), "path": self.path, "at": time.monotonic()}
            )
        self.server.script(self, at, body)

    def send(self, status, text, headers=(), length=None):
        data = text.encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)

    def complete(self, content, **more):
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
        self.send(200, json.dumps({"model": "tiny-2024-08-06", "choices": [choice], "usage": usage, **more}))

    def log_message(self, *_):
        pass


@contextmanager
def endpoint_server() -> Iterator[ThreadingHTTPServer]:
    """A server whose ``script(handler, at, body)`` answers each request, and whose ``asked`` lists them."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.lock, server.asked = threading.Lock(), []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
