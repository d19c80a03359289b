"""A small OCSP responder and a server of lists on 127.0.0.1: `openssl ocsp` cannot be bound to one address."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[str, bytes], bytes | None]  # path and body -> what to answer; None is a 404


class Served:
    """`answer` may be set anew at any time; `asked` holds the paths."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.asked = answer, list[str]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("content-length", 0))
                outer.asked.append(self.path)
                told = outer.answer(self.path, self.rfile.read(length))
                self.send_response(200 if told is not None else 404)
                self.send_header("content-length", str(len(told or b"")))
                self.end_headers()
                self.wfile.write(told or b"")

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Served:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
