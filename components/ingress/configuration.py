"""What the controller is told: its arguments, and the ConfigMap that it makes NGINX's configuration from.

Keys: https://docs.nginx.com/nginx-ingress-controller/configuration/global-configuration/configmap-resource/
"""

import json
import re
from typing import Final

import pulumi

from components.ingress.args import Exposure, IngressArgs
from components.ingress.labels import REACHED

NAMESPACE: Final = "ingress"
NAME: Final = "nginx-ingress"
CONTROLLER: Final = "controller"
"""The container whose lines are the access log."""
CLASS: Final = "airflow-platform"
"""The IngressClass: its own, so that another controller in the cluster leaves these objects alone."""
CONFIG: Final = "nginx-config"
READY_PORT: Final = 8081
METRICS_PORT: Final = 9113
WORKER_SHUTDOWN_SECONDS: Final = 60
"""How long requests under way may take to end when the configuration changes or the pod goes."""

_ACCESS: Final = {
    "time": "$time_iso8601",
    "client": "$remote_addr",
    "method": "$request_method",
    "host": "$host",
    # Without what follows the question mark: sign-in puts codes and tokens there.
    "path": "$uri",
    "status": "$status",
    "bytes": "$body_bytes_sent",
    "seconds": "$request_time",
    "upstream": "$upstream_addr",
    "upstream_status": "$upstream_status",
    "upstream_seconds": "$upstream_response_time",
    "namespace": "$resource_namespace",
    "service": "$service",
    "request_id": "$request_id",
    "user_agent": "$http_user_agent",
}

_NUMBERS: Final = re.compile(r'"(\$(?:status|body_bytes_sent|request_time))"')
"""What is a number always; of upstreams there may be several, or none."""


def configuration(args: IngressArgs) -> dict[str, pulumi.Input[str]]:
    """The ConfigMap's data."""
    made: dict[str, pulumi.Input[str]] = {
        "client-max-body-size": f"{args.request_mib}m",
        "hsts": "true" if args.hsts_seconds else "false",
        "http2": "true",
        "log-format": _NUMBERS.sub(r"\1", json.dumps({"log": "access", **_ACCESS})),
        "log-format-escaping": "json",
        "proxy-connect-timeout": "10s",
        "proxy-read-timeout": f"{args.read_seconds}s",
        "proxy-send-timeout": f"{args.read_seconds}s",
        "server-tokens": "false",
        "ssl-protocols": "TLSv1.2 TLSv1.3",
        "worker-shutdown-timeout": f"{WORKER_SHUTDOWN_SECONDS}s",
    }
    if args.hsts_seconds:
        made |= {"hsts-max-age": str(args.hsts_seconds), "hsts-include-subdomains": "false"}
    if address := status_address(args):
        made["external-status-address"] = address
    return made


def status_address(args: IngressArgs) -> pulumi.Input[str] | None:
    """What the controller writes into the status of what it serves. None: the load balancer's address."""
    if args.address is None and args.exposure is Exposure.NODE_PORT:
        return "127.0.0.1"  # a node port has none; Pulumi waits for one to know that an Ingress is served
    return args.address


def arguments(args: IngressArgs, certificate: str) -> list[str]:
    """The controller's arguments. ``certificate`` is the name of the Secret that it serves every host with.

    https://docs.nginx.com/nginx-ingress-controller/configuration/global-configuration/command-line-arguments/
    """
    (reached,) = REACHED.items()
    made = [
        f"-nginx-configmaps={NAMESPACE}/{CONFIG}",
        f"-ingress-class={CLASS}",
        f"-watch-namespace-label={'='.join(reached)}",
        # Airflows' own Secrets are none of its business.
        f"-watch-secret-namespace={NAMESPACE}",
        # Of every Ingress that names hosts and no Secret. A host that no Ingress names gets no handshake.
        f"-wildcard-tls-secret={NAMESPACE}/{certificate}",
        "-report-ingress-status",
        "-enable-leader-election=true",
        "-enable-custom-resources=false",
        "-enable-telemetry-reporting=false",
        "-enable-prometheus-metrics",
        f"-prometheus-metrics-listen-port={METRICS_PORT}",
        f"-ready-status-port={READY_PORT}",
        "-nginx-status=false",
        "-log-format=json",
    ]
    if status_address(args) is None:
        made.append(f"-external-service={NAME}")
    # NGINX tells Airflow the port that it listens on: it must be the one that people use.
    if args.http_port != 80:
        made.append(f"-default-http-listener-port={args.http_port}")
    if args.port != 443:
        made.append(f"-default-https-listener-port={args.port}")
    return made
