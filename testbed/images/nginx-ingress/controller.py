"""Runs NGINX with a configuration made of Ingress objects, and makes it anew whenever they change.

A stand-in for F5's NGINX Ingress Controller: it takes the arguments that the platform gives to that one, and no others.
"""

import argparse
import base64
import http.server
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType

from kube import Kept, Kube, Object
from render import Options, Rendered, World, render

CONF = Path("/etc/nginx/nginx.conf")
SECRETS = Path("/etc/nginx/secrets")
LIB = Path("/var/lib/nginx")
SETTLE_SECONDS = 0.1
"""Changes come in bunches: they are taken together."""
STATUS_SECONDS = 2


def parse(argv: list[str]) -> argparse.Namespace:
    """The arguments as the vendor's program has them: one dash, values after an equals sign."""
    parser = argparse.ArgumentParser(prog="nginx-ingress", allow_abbrev=False)
    for name in ("nginx-configmaps", "ingress-class", "watch-namespace-label", "watch-secret-namespace"):
        parser.add_argument(f"-{name}", required=True)
    parser.add_argument("-wildcard-tls-secret", required=True)
    parser.add_argument("-external-service", default="")
    for name in ("report-ingress-status", "enable-prometheus-metrics"):
        parser.add_argument(f"-{name}", action="store_true", required=True)
    parser.add_argument("-enable-leader-election", choices=["true"], required=True)
    for name in ("enable-custom-resources", "enable-telemetry-reporting", "nginx-status"):
        parser.add_argument(f"-{name}", choices=["false"], required=True)
    parser.add_argument("-log-format", choices=["json"], required=True)
    for name, port in (
        ("prometheus-metrics", 9113),
        ("ready-status", 8081),
        ("default-http", 80),
        ("default-https", 443),
    ):
        suffix = {"prometheus-metrics": "-listen-port", "ready-status": "-port"}.get(name, "-listener-port")
        parser.add_argument(f"-{name}{suffix}", dest=name.replace("-", "_"), type=int, default=port)
    return parser.parse_args(argv)


class Controller:
    """NGINX and what it is told."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._kube = Kube()
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._nginx: subprocess.Popen[bytes] | None = None
        self._loaded = ""
        self._reported: set[str] = set()
        self.reloads = self.failures = 0
        self.last_ok = True
        self.chosen = chosen
        namespace, _, self._config_map = chosen.nginx_configmaps.partition("/")
        secrets, _, self._secret = chosen.wildcard_tls_secret.partition("/")
        key, _, value = chosen.watch_namespace_label.partition("=")
        self._options = Options(chosen.ingress_class, (key, value), "", chosen.default_http, chosen.default_https)
        ingress = "/apis/networking.k8s.io/v1/ingresses"
        self._paths = {
            "namespaces": "/api/v1/namespaces",
            "services": "/api/v1/services",
            "slices": "/apis/discovery.k8s.io/v1/endpointslices",
            "ingresses": ingress,
            "configs": f"/api/v1/namespaces/{namespace}/configmaps",
            "secrets": f"/api/v1/namespaces/{secrets}/secrets",
        }
        self._kept = {name: Kept(self._changed.set) for name in self._paths}

    @property
    def ready(self) -> bool:
        """Whether NGINX runs with everything that there is."""
        return bool(self._loaded) and self._nginx is not None and self._nginx.poll() is None

    def run(self) -> int:
        """Until the pod is to end; returns NGINX's exit code."""
        (LIB / "nginx.pid").unlink(missing_ok=True)
        self._kube.ask("GET", f"/apis/networking.k8s.io/v1/ingressclasses/{self.chosen.ingress_class}")
        for name, path in self._paths.items():
            threading.Thread(target=self._kube.follow, args=(path, self._kept[name]), daemon=True).start()
        for kept in self._kept.values():
            kept.known.wait()
        while not self._stopping.is_set():
            if self._changed.wait(STATUS_SECONDS):
                time.sleep(SETTLE_SECONDS)
                self._changed.clear()
                self._take()
            if self._nginx is not None and self._nginx.poll() is not None:
                say("error", f"nginx has ended with {self._nginx.returncode}")
                return 1
        if self._nginx is not None:
            self._nginx.send_signal(signal.SIGQUIT)
            return self._nginx.wait()
        return 0

    def stop(self, _signal: int, _frame: FrameType | None) -> None:
        """The kubelet says that the pod goes: requests under way come to an end first."""
        self._stopping.set()

    def _take(self) -> None:
        certificate = self._certificate()
        if certificate is None:
            say("error", f"no Secret {self.chosen.wildcard_tls_secret} of type kubernetes.io/tls")
            return
        config = next((c for c in self._kept["configs"].all() if c["metadata"]["name"] == self._config_map), {})
        world = World(
            config.get("data") or {},
            *(self._kept[name].all() for name in ("namespaces", "ingresses", "services", "slices")),
        )
        made = render(world, replace(self._options, certificate=str(certificate)))
        for problem in made.problems:
            if problem not in self._reported:
                say("error", problem)
                self._reported.add(problem)
        key = made.text + certificate.read_text()
        if key != self._loaded and self._load(made.text):
            self._loaded = key
        if self._loaded:
            self._report(made, world.config.get("external-status-address"))

    def _load(self, text: str) -> bool:
        CONF.write_text(text)
        tested = subprocess.run(["nginx", "-t", "-q"], stderr=subprocess.PIPE, text=True, check=False)
        self.last_ok = tested.returncode == 0
        if not self.last_ok:
            self.failures += 1
            say("error", f"nginx refuses its configuration: {tested.stderr}")
            return False
        if self._nginx is None:
            for folder in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
                Path("/var/cache/nginx", folder).mkdir(exist_ok=True)
            self._nginx = subprocess.Popen(["nginx"])
        else:
            self._nginx.send_signal(signal.SIGHUP)
        self.reloads += 1
        say("info", f"nginx has configuration {self.reloads}")
        return True

    def _certificate(self) -> Path | None:
        """The wildcard Secret as a file that NGINX reads both parts from; its name changes with what is in it."""
        for secret in self._kept["secrets"].all():
            if secret["metadata"]["name"] == self._secret and secret.get("type") == "kubernetes.io/tls":
                SECRETS.mkdir(mode=0o700, exist_ok=True)
                path = SECRETS / f"{self._secret}.pem"
                parts = [base64.b64decode(secret["data"][part]) for part in ("tls.crt", "tls.key")]
                path.touch(mode=0o600)
                path.write_bytes(b"\n".join(parts))
                return path
        return None

    def _report(self, made: Rendered, address: str | None) -> None:
        """Say in the status of what is served where that is."""
        wanted = [{"ip": address}] if address else self._service_address()
        for ingress in made.served:
            if not wanted or (ingress.get("status", {}).get("loadBalancer") or {}).get("ingress") == wanted:
                continue
            meta = ingress["metadata"]
            path = (
                f"{self._paths['ingresses'].rpartition('/')[0]}/namespaces/{meta['namespace']}/ingresses/{meta['name']}"
            )
            try:
                self._kube.ask("PUT", f"{path}/status", {**ingress, "status": {"loadBalancer": {"ingress": wanted}}})
            except OSError as error:  # it has changed meanwhile; the change comes, too
                say("info", f"status of {meta['namespace']}/{meta['name']}: {error}")

    def _service_address(self) -> list[Object]:
        for service in self._kept["services"].all():
            if service["metadata"]["name"] == self.chosen.external_service:
                return service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
        return []


def serve(port: int, answer: "type[http.server.BaseHTTPRequestHandler]") -> None:
    """Answer on ``port`` in the background."""
    server = http.server.ThreadingHTTPServer(("", port), answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def handler(controller: Controller) -> type[http.server.BaseHTTPRequestHandler]:
    """What answers probes and Prometheus."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/nginx-ready":
                self._say(200 if controller.ready else 503, "ready" if controller.ready else "not ready")
            elif self.path == "/metrics":
                self._say(200, metrics(controller))
            else:
                self._say(404, "")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in the base class)
            """Probes are not worth a line."""

        def _say(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text.encode())

    return Handler


def metrics(controller: Controller) -> str:
    """The vendor's names for those that an alert or a dashboard uses."""
    values = {
        "nginx_ingress_controller_nginx_reloads_total": controller.reloads,
        "nginx_ingress_controller_nginx_reload_errors_total": controller.failures,
        "nginx_ingress_controller_nginx_last_reload_status": int(controller.last_ok),
        "nginx_ingress_nginx_up": int(controller.ready),
    }
    if controller.ready:
        # Active connections, then accepted, handled and requests, as stub_status has them.
        numbers = [int(word) for word in _stub_status().split() if word.isdigit()]
        names = ("connections_active", "connections_accepted", "connections_handled", "http_requests_total")
        values |= {f"nginx_ingress_nginx_{name}": number for name, number in zip(names, numbers, strict=False)}
    return "".join(f"{name} {value}\n" for name, value in values.items())


def _stub_status() -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(LIB / "nginx-status.sock"))
        connection.sendall(b"GET /stub_status HTTP/1.0\r\n\r\n")
        text = b""
        while part := connection.recv(4096):
            text += part
    return text.partition(b"\r\n\r\n")[2].decode()


def say(level: str, message: str) -> None:
    """One line of the log."""
    print(json.dumps({"level": level, "msg": message}), flush=True)


def main() -> int:
    chosen = parse(sys.argv[1:])
    controller = Controller(chosen)
    signal.signal(signal.SIGTERM, controller.stop)
    serve(chosen.ready_status, handler(controller))
    serve(chosen.prometheus_metrics, handler(controller))
    return controller.run()


if __name__ == "__main__":
    sys.exit(main())
