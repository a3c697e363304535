"""What the pods of a stack on this machine use."""

from collections import Counter
from typing import Any

from ops.target import Target

MEBI = 2**20


def mebi(used: int) -> str:
    """Bytes, for people."""
    return f"{used / MEBI:.0f} MiB"


def memory_of(chosen: Target, pods: list[Any]) -> dict[str, int]:
    """The working set of ``pods`` by namespace, most first; nothing where the cluster is not this machine's own."""
    if chosen.testbed is None:
        return {}
    ours = {(pod.metadata.namespace, pod.metadata.name) for pod in pods}
    found: Counter[str] = Counter()
    for (namespace, name), used in chosen.testbed.pod_memory().items():
        if (namespace, name) in ours:
            found[namespace] += used
    return dict(found.most_common())
