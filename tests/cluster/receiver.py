"""For tests, as a program: takes mail on port 2525 and web posts on 8080, and prints each as a line of JSON."""

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Post(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print(json.dumps({"posted": body}), flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as it is called)
        pass


class Mail(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 receiver\r\n")
        while line := self.rfile.readline().decode().strip().upper():
            if line == "DATA":
                self.wfile.write(b"354 go on\r\n")
                lines: list[str] = []
                while (part := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                    lines.append(part)
                print(json.dumps({"mailed": lines}), flush=True)
            self.wfile.write(b"221 bye\r\n" if line == "QUIT" else b"250 fine\r\n")


threading.Thread(target=socketserver.ThreadingTCPServer(("", 2525), Mail).serve_forever, daemon=True).start()
ThreadingHTTPServer(("", 8080), Post).serve_forever()
