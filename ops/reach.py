"""A way from this machine to an Airflow: by the address that people use, or else to its api-server."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.ingress.configuration import NAME, NAMESPACE
from infra.settings.ingress_addresses import address_of
from ops.door import Door
from ops.target import Target
from testbed.progress import Failure

API = "api-server"
API_PORT = 8080
CONTROLLER = f"{NAME}.{NAMESPACE}.svc.cluster.local"
AUTHORITY = "ingress-ca.pem"


@contextmanager
def enter(target: Target, airflow: str) -> Iterator[Door]:
    """The door to the Airflow of this name: on the testbed the one that people use, where it has a way in.

    Elsewhere, and where there is none, it leads to the api-server: what the way in lets through is then not asked.
    """
    asked = next(one for one in target.settings.airflows if one.name == airflow)
    address = address_of(asked, target.settings)
    if target.testbed and address:
        port = target.testbed.forward(CONTROLLER, address.port, address.port)
        authority = authority_file(target)
        yield Door(address.url, ("127.0.0.1", port), authority if authority.exists() else None)
        return
    with reach(target, f"airflow-{airflow}") as url:
        yield Door(url)


def save_authority(target: Target, outputs: Mapping[str, Any]) -> None:
    """Keep the certificate of a stack's own authority, of the stack's ``outputs``, where ``enter`` looks for it."""
    certificate = outputs.get("ingress", {}).get("authority")
    if certificate is None:
        authority_file(target).unlink(missing_ok=True)
        return
    target.home.mkdir(parents=True, exist_ok=True)
    authority_file(target).write_text(certificate, encoding="utf-8")


def authority_file(target: Target) -> Path:
    """Where the certificate of a stack's own authority is, for browsers and clients to trust."""
    return target.home / AUTHORITY


@contextmanager
def reach(target: Target, namespace: str, service: str = API, port: int = API_PORT) -> Iterator[str]:
    """The URL of the api-server in ``namespace``, or of another ``service`` there.

    On the testbed it stays after the block, until the cluster goes down; elsewhere `kubectl port-forward` makes it for
    as long as the block lasts.
    """
    if target.testbed:
        local = target.testbed.forward(f"{service}.{namespace}.svc.cluster.local", port)
        yield f"http://127.0.0.1:{local}"
        return
    command = port_forward_command(target, namespace, service=service, port=port)
    if not shutil.which(command[0]):
        raise Failure("kubectl is not on PATH, and there is no other way into your cluster.\nMend: install kubectl.")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+)", first)
            if not found:
                raise Failure(f"`{' '.join(command)}` said: {first.strip()}")
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            process.terminate()


def port_forward_command(
    target: Target, namespace: str, local_port: str = "", service: str = API, port: int = API_PORT
) -> list[str]:
    """The kubectl command that makes the way by hand."""
    command = ["kubectl", f"--context={target.context}", f"--namespace={namespace}"]
    if target.kubeconfig:
        command.append(f"--kubeconfig={target.kubeconfig}")
    return [*command, "port-forward", f"service/{service}", f"{local_port}:{port}"]
