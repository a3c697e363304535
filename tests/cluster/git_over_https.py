"""A git server over https for tests, as a program: /srv over git's own http-backend, for who knows the token.

Usage: git_over_https.py PORT. Certificate, key and token are files in /keys; the token is read at each request.
"""

import base64
import os
import ssl
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

KEYS = Path("/keys")


class Git(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        password = base64.b64decode(given).decode().partition(":")[2]
        if password != (KEYS / "token").read_text():
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic realm=git")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        variables = {
            "GIT_PROJECT_ROOT": "/srv",
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": self.headers.get("Content-Length", "0"),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        body = self.rfile.read(int(variables["CONTENT_LENGTH"]))
        answer = subprocess.run(
            ["git", "http-backend"], input=body, capture_output=True, env={**os.environ, **variables}, check=True
        ).stdout
        head, _, content = answer.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        # Its length is said: git takes an end of the connection that TLS did not announce for an attack.
        headers["Content-Length"] = str(len(content))
        self.send_response(int(headers.pop("Status", "200 OK").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 (http.server looks for it by this name)


server = ThreadingHTTPServer(("", int(sys.argv[1])), Git)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(KEYS / "certificate", KEYS / "certificate-key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
