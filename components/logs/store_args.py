"""What a log store of the platform's own is made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi

from components.network import ClusterNetwork
from components.quantities import mebibytes
from components.workload import Nodes, Resources

NAMESPACE: Final = "log-store"
ELASTICSEARCH: Final = "elasticsearch"
"""Names the StatefulSet, its pods' container, the Service and the selectors."""
NODES_SERVICE: Final = f"{ELASTICSEARCH}-nodes"
"""Headless: how the nodes find one another, ready or not."""
PORT: Final = 9200
TRANSPORT_PORT: Final = 9300
HOST: Final = f"{ELASTICSEARCH}.{NAMESPACE}.svc.cluster.local"
URL: Final = f"https://{HOST}:{PORT}"
UID: Final = 1000
"""Of Elastic's images; their files belong to group 0, which that user is in."""
MOST_HEAP_MIB: Final = 31 * 1024
"""Above it Java's pointers take twice the room
(https://www.elastic.co/docs/reference/elasticsearch/jvm-settings#set-jvm-heap-size)."""


@dataclass(frozen=True)
class Retention:
    """How long lines are kept: ``days`` after their index was rolled over, which happens after ``rollover_days`` or at
    ``rollover_gib``, whichever is first."""

    days: int
    rollover_days: int
    rollover_gib: int


@dataclass(frozen=True)
class Snapshots:
    """Every night into ``bucket``, as the Google service account ``identity`` (e-mail), kept for ``days``."""

    bucket: str
    identity: pulumi.Output[str]
    days: int


@dataclass(frozen=True)
class KibanaArgs:
    """``url``: where people find it. None: by a tunnel."""

    image: str
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class LogStoreArgs:
    """Arguments of ``LogStore``.

    ``nodes``: 1, or 3 of which one may be away. Of each: ``memory``, half of it for Java's heap, and ``volume_gib``.
    ``one_a_zone``: a node waits rather than share a zone with another. ``memory_mapped``: whether the nodes of the
    cluster allow what Elasticsearch would like to map (``vm.max_map_count``).
    ``readers`` are the Airflows that read their own stream, ``retired`` those that may no longer. ``components``:
    whether there are streams for what is no task's line. ``exporter_image`` shows metrics; None: none. A raised
    ``rotation`` makes every password anew.
    """

    image: str
    checksum_key: pulumi.Output[str]
    readers: Sequence[str]
    retention: Retention
    retired: Sequence[str] = ()
    components: bool = False
    nodes: int = 1
    memory: str = "2Gi"
    cpu: str = "250m"
    cpu_limit: str = "2"
    volume_gib: int = 20
    storage_class: str | None = None
    one_a_zone: bool = False
    memory_mapped: bool = False
    rotation: int = 0
    snapshots: Snapshots | None = None
    kibana: KibanaArgs | None = None
    exporter_image: str | None = None
    network: ClusterNetwork | None = None
    own_nodes: Nodes | None = None
    """Where Elasticsearch runs. None: where the rest does."""
    placed: Nodes | None = None
    priority: pulumi.Input[str] | None = None
    protect: bool = True

    @property
    def resources(self) -> Resources:
        """Of one node. Memory is asked for whole: what Java has taken it never gives back."""
        return Resources(self.cpu, self.memory, self.cpu_limit, self.memory)

    @property
    def heap_mib(self) -> int:
        """Half of the memory: the other half is for the files that are read."""
        return min(int(mebibytes(self.memory)) // 2, MOST_HEAP_MIB)

    @property
    def copies(self) -> int:
        """Of every shard. One node has no place for a second."""
        return min(self.nodes, 2)

    @property
    def streams(self) -> tuple[str, ...]:
        """The data streams: two of an Airflow at most, and one of the way in."""
        kinds = ("task", "component") if self.components else ("task",)
        made = [f"logs-airflow.{kind}-{airflow}" for airflow in self.readers for kind in kinds]
        return (*made, *(["logs-airflow.component-ingress"] if self.components else []))
