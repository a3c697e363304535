"""The environment's own Elasticsearch on the testbed, asked from outside as its superuser."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from kubernetes import client

from components.logs.elasticsearch import SUPERUSER_SECRET
from components.logs.store_args import ELASTICSEARCH, NAMESPACE, PORT
from components.logs.store_certificates import AUTHORITY_FILE
from tests.cluster.looks import wait_until
from tests.cluster.platform import Platform
from tests.cluster.store_client import StoreClient

START_SECONDS = 300
WATERMARK = "cluster.routing.allocation.disk.watermark"
MORE_THAN_ANY_DISK = "100000gb"


class OwnStore(StoreClient):
    """``platform``'s, which has logs of kind ``own`` and is up."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        core = client.CoreV1Api(platform.api_client())
        made = core.read_namespaced_config_map("elasticsearch-authority", NAMESPACE)
        self.authority = (made.data or {})[AUTHORITY_FILE]
        self.password = platform.view().secret(NAMESPACE, SUPERUSER_SECRET)["password"]
        self._port = platform.cluster.forward(f"{ELASTICSEARCH}.{NAMESPACE}", PORT)

    @property
    def port(self) -> int:
        """Leads to the Service, and so to a node that is ready."""
        return self._port

    @property
    def pods(self) -> list[str]:
        """Those of the nodes."""
        labels = f"app.kubernetes.io/component={ELASTICSEARCH}"
        found = client.CoreV1Api(self._platform.api_client()).list_namespaced_pod(NAMESPACE, label_selector=labels)
        return [pod.metadata.name for pod in found.items]

    def scale(self, nodes: int) -> None:
        """Have so many nodes, as a person would by hand."""
        body = {"spec": {"replicas": nodes}}
        apps = client.AppsV1Api(self._platform.api_client())
        apps.patch_namespaced_stateful_set_scale(ELASTICSEARCH, NAMESPACE, body)

    @contextmanager
    def away(self, seconds: float = 0) -> Iterator[None]:
        """Its one node is not there for as long as the block lasts, and for ``seconds`` at least."""
        self.scale(0)
        try:
            wait_until(lambda: not self.pods, 180, "the store's node is gone")
            began = time.monotonic()
            yield
            wait_until(lambda: time.monotonic() - began > seconds, seconds + 1, "the store was away long enough")
        finally:
            self.scale(1)
            wait_until(lambda: self.health() == "green", START_SECONDS, "the store is green")

    @contextmanager
    def full(self) -> Iterator[None]:
        """Its disk is above the flood stage for as long as the block lasts: no index takes a line."""
        marks = [f"{WATERMARK}.{mark}" for mark in ("low", "high", "flood_stage")]

        def told(value: str | None) -> None:
            body = {**dict.fromkeys(marks, value), "cluster.info.update.interval": "10s" if value else None}
            self.do("PUT", "/_cluster/settings", {"persistent": body})

        told(MORE_THAN_ANY_DISK)
        try:
            wait_until(self._is_shut, 90, "the full store has shut its indices")
            yield
        finally:
            told(None)
            wait_until(lambda: not self._is_shut() and not self._makes_none(), 150, "the store takes lines again")

    def _is_shut(self) -> bool:
        found = self.do("GET", "/logs-airflow.*/_settings/index.blocks.*?flat_settings=true")
        blocks = [index["settings"].get("index.blocks.read_only_allow_delete") for index in found.values()]
        return "true" in blocks

    def _makes_none(self) -> bool:
        # OpenSearch's own, a while longer: it would have the bootstrap's next requests refused.
        found = self.do("GET", "/_cluster/settings?flat_settings=true")
        return "true" in {kind.get("cluster.blocks.create_index") for kind in found.values()}
