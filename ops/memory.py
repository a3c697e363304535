"""What the pods of a stack on this machine use."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ops.cluster_view import ClusterView
from ops.target import Target

MEBI = 2**20


def mebi(used: int) -> str:
    """Bytes, for people."""
    return f"{used / MEBI:.0f} MiB"


def memory_of(chosen: Target) -> dict[str, int]:
    """What the pods of ``chosen`` use by namespace; nothing, and nobody is asked, where the cluster is not this
    machine's own."""
    return by_namespace(chosen.testbed.pod_memory(), ClusterView(chosen).pods()) if chosen.testbed else {}


def by_namespace(used: Mapping[tuple[str, str], int], pods: Sequence[Any]) -> dict[str, int]:
    """Of what every pod of a cluster has ``used``, by namespace and name, that of ``pods``, most first."""
    ours = {(pod.metadata.namespace, pod.metadata.name) for pod in pods}
    found: Counter[str] = Counter()
    for (namespace, name), size in used.items():
        if (namespace, name) in ours:
            found[namespace] += size
    return dict(found.most_common())
