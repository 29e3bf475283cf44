"""A stand-in for the server that netbooted machines speak with: qrmd-node's protocol and the files of the boot root.

A process of its own: `python node_server.py ADDRESS PORT FOLDER`. Prints each exchange as a JSON line; a line on
standard input is what every machine is told next: `order reboot`, `refuse`, `away`, `order stay`.
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TOKEN = "7" * 64


class Orders:
    """What machines are told."""

    said = "order stay"


class Handler(BaseHTTPRequestHandler):
    folder = Path()

    def do_GET(self) -> None:
        path = self.folder / self.path.removeprefix("/qrm/boot/")
        found = path.is_file() and ".." not in self.path
        self._tell(path=self.path, found=found)
        self._answer(200 if found else 404, path.read_bytes() if found else b"not found\n")

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            body: Any = json.loads(text)
        except ValueError:
            body = {"unreadable": repr(text)}
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        said = Orders.said  # who is told of the exchange may say something else at once
        self._tell(path=self.path, body=body, token=token, length=len(text))
        if said == "away":
            self._answer(503, b"qrmd is away\n", ("Retry-After", "1"))
        elif said == "refuse" and self.path == "/v1/enlist":
            self._answer(403, b"this nonce was used already\n")
        elif self.path == "/v1/enlist":
            self._answer(200, f"token {TOKEN}\nname r7\nbeat 1\norder stay\n".encode())
        elif token != TOKEN:
            self._answer(401, b"enlist anew\n")
        else:
            self._answer(200, f"beat 1\n{said}\n".encode())

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _tell(self, **words: Any) -> None:
        print(json.dumps({"from": self.client_address[0], **words}), flush=True)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def main() -> None:
    address, port, folder = sys.argv[1:]
    Handler.folder = Path(folder)
    server = ThreadingHTTPServer((address, int(port)), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"port": server.server_port}), flush=True)
    for line in sys.stdin:
        Orders.said = line.strip()
    server.shutdown()


if __name__ == "__main__":
    main()
