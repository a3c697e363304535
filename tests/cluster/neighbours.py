"""What one Airflow's pods can reach of another's: asked from inside them."""

import json
from typing import Any

from kubernetes import client

from tests.cluster.looks import run_in, run_pod
from tests.cluster.platform import Platform

TASK = {"app.kubernetes.io/component": "task", "app.kubernetes.io/part-of": "airflow-platform"}
LISTENED = (8080, 8793, 8794, 8974)
REACHED, DENIED = "reached", "denied"

# "Connection refused" comes from the target itself: it was reached. The testbed's enforcer rejects with another error.
_CONNECT = """
import errno, json, socket, sys
found = {}
for name in json.loads(sys.argv[1]):
    host, _, port = name.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 5).close()
        found[name] = "reached"
    except ConnectionRefusedError:
        found[name] = "reached"
    except socket.gaierror as error:
        found[name] = f"no such name: {error}"
    except OSError as error:
        found[name] = "denied" if error.errno == errno.EHOSTUNREACH else str(error)
print(json.dumps(found))
"""

_ASK_API = """
import json, ssl, sys, urllib.error, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount"
trusted = ssl.create_default_context(cafile=f"{folder}/ca.crt")
token = open(f"{folder}/token").read()
found = {}
for path in json.loads(sys.argv[1]):
    request = urllib.request.Request(f"https://kubernetes.default.svc{path}")
    request.add_header("Authorization", f"Bearer {token}")
    try:
        found[path] = urllib.request.urlopen(request, context=trusted, timeout=10).status
    except urllib.error.HTTPError as error:
        found[path] = error.code
print(json.dumps(found))
"""


def of_neighbour(platform: Platform, namespace: str) -> list[str]:
    """A neighbour's Service, and every pod of it with the ports that parts of an Airflow listen on."""
    pods = client.CoreV1Api(platform.api_client()).list_namespaced_pod(namespace).items
    addresses = sorted({pod.status.pod_ip for pod in pods if pod.status.phase == "Running"})
    assert len(addresses) >= 4, "the neighbour runs"
    pairs = [f"{address}:{port}" for address in addresses for port in LISTENED]
    return [f"api-server.{namespace}.svc.cluster.local:8080", *pairs]


def reached_by_task(platform: Platform, targets: list[str]) -> dict[str, str]:
    """What a pod that looks like a task of the first Airflow finds at ``targets`` (``host:port``)."""
    command = ["python", "-c", _CONNECT, json.dumps(targets)]
    return _last_line(run_pod(platform, "airflow-main", "looks-at-neighbours", TASK, command))


def reached_by_part(platform: Platform, part: str, targets: list[str]) -> dict[str, str]:
    """What a running part of the first Airflow finds at ``targets``."""
    return _last_line(run_in(platform, part, ["python", "-c", _CONNECT, json.dumps(targets)]))


def answers_of_kubernetes(platform: Platform, part: str, paths: list[str]) -> dict[str, int]:
    """The Kubernetes API's HTTP status for ``paths``, asked by a running part with its own token."""
    return _last_line(run_in(platform, part, ["python", "-c", _ASK_API, json.dumps(paths)]))


def _last_line(said: str) -> Any:
    return json.loads(said.strip().splitlines()[-1])
