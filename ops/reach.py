"""A way from this machine to an Airflow's api-server: a forwarded port of 127.0.0.1."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from ops.target import Target
from testbed.progress import Failure

API_PORT = 8080


@contextmanager
def reach(target: Target, namespace: str) -> Iterator[str]:
    """The URL of the api-server in ``namespace``.

    On the testbed it stays after the block, until the cluster goes down; elsewhere `kubectl port-forward` makes it for
    as long as the block lasts.
    """
    if target.testbed:
        port = target.testbed.forward(f"api-server.{namespace}.svc.cluster.local", API_PORT)
        yield f"http://127.0.0.1:{port}"
        return
    command = port_forward_command(target, namespace)
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


def port_forward_command(target: Target, namespace: str, local_port: str = "") -> list[str]:
    """The kubectl command that makes the way by hand."""
    command = ["kubectl", f"--context={target.context}", f"--namespace={namespace}"]
    if target.kubeconfig:
        command.append(f"--kubeconfig={target.kubeconfig}")
    return [*command, "port-forward", "service/api-server", f"{local_port}:{API_PORT}"]
