"""The way to a stack's cluster, as a file for kubectl: there already, or kept from what the stack has made."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.engine import engine_on
from ops.target import Target
from testbed.progress import Failure, Progress


def save_kubeconfig(chosen: Target, outputs: Mapping[str, Any]) -> None:
    """Keep the kubeconfig among a stack's ``outputs`` on this machine, readable by its owner only."""
    if not chosen.made_here:
        return
    if "kubeconfig" not in outputs:
        raise Failure(f"stack {chosen.name} has no cluster yet.\nMend: bring it up with `pulumi up -s {chosen.name}`.")
    path = chosen.home / "kubeconfig"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(outputs["kubeconfig"])


def kubeconfig(chosen: Target, progress: Progress) -> Path | None:
    """The file to reach the stack's cluster with; None where it is for kubectl to find. Fetches what is not here."""
    if chosen.made_here:
        with engine_on(chosen, progress) as engine:
            save_kubeconfig(chosen, engine.outputs())
    return chosen.kubeconfig
