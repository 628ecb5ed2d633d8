"""The system of record of this example: the signs on the doors of an office, as a small JSON API.

GET /signs/ROOM        -> {"room": …, "text": …}
PUT /signs/ROOM {text} -> the same
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SIGNS = {"kitchen": "Coffee is ready.", "lobby": "Welcome!"}


class Signs(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._show()

    def do_PUT(self) -> None:
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._room() in SIGNS:
            SIGNS[self._room()] = wanted["text"]
        self._show()

    def _room(self) -> str:
        return self.path.removeprefix("/signs/")

    def _show(self) -> None:
        text = SIGNS.get(self._room())
        answer = {"error": "no such room"} if text is None else {"room": self._room(), "text": text}
        body = json.dumps(answer).encode()
        self.send_response(404 if text is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Signs)
    print(f"Door signs at http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
