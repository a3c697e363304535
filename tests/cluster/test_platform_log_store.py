"""Three nodes of the environment's own Elasticsearch are rolled, one by one, while lines are written and read."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from components.logs.objects import SHIPPER
from components.logs.shipper import NAMESPACE
from ops.engine import Outcome
from tests.cluster.log_pipeline import own_logs, stream
from tests.cluster.looks import wait_until
from tests.cluster.own_store import OwnStore
from tests.cluster.platform import Platform

pytestmark = [pytest.mark.cluster, pytest.mark.long]
NODES = 3


def three_nodes(config: dict[str, Any]) -> None:
    own_logs(config)
    config["logs"] |= {"nodes": NODES, "spread": "anywhere", "memory": "1280Mi"}


@pytest.fixture(scope="module")
def store(platform: Platform) -> Iterator[OwnStore]:
    try:
        with platform.changed(three_nodes):
            platform.up()
            yield OwnStore(platform)
    finally:
        platform.up()


class Writer:
    """Writes numbered lines as fluentd would, and looks at the store's health after each."""

    def __init__(self, store: OwnStore, password: str) -> None:
        self._store, self._password = store, password
        self.taken = 0
        self.seen: list[tuple[int, str]] = []
        """How many nodes there were, and how the store was, again and again."""

    def write(self) -> bool:
        """One line. Whoever ships tries again where nobody answers."""
        action = json.dumps({"create": {"_index": stream("main"), "_id": str(self.taken)}})
        body = f'{action}\n{{"@timestamp":"2026-01-01T00:00:00Z","offset":{self.taken}}}\n'
        reply = self._store.ask("POST", "/_bulk", body, user=SHIPPER, password=self._password)
        # 409: it was taken before, and the answer was lost.
        done = reply.status == 200 and reply.body["items"][0]["create"]["status"] in (201, 409)
        self.taken += done
        return done

    def look(self) -> None:
        """How it is now; nothing where the node that was asked goes away this moment."""
        reply = self._store.ask("GET", "/_cluster/health")
        if reply.status == 200:
            self.seen.append((reply.body["number_of_nodes"], reply.body["status"]))

    @property
    def times_away(self) -> list[bool]:
        """For each time that a node went: whether the store had been green, and whole, since the last time."""
        found: list[bool] = []
        green, before = False, NODES
        for nodes, status in self.seen:
            if nodes < before:
                found.append(green)
                green = False
            green = green or (nodes == NODES and status == "green")
            before = nodes
        return found


def test_three_nodes_are_rolled_one_by_one_and_every_line_that_was_taken_is_there(
    platform: Platform, store: OwnStore
) -> None:
    writer = Writer(store, platform.view().secret(NAMESPACE, "store")["password"])
    wait_until(writer.write, 30, "the first line is taken")
    wait_until(lambda: store.health() == "green", 60, "the store is green")
    with platform.changed(lambda config: config["logs"].update(cpu="251m")), ThreadPoolExecutor(1) as aside:
        rolling: Future[Outcome] = aside.submit(platform.up)

        def over() -> bool:
            wait_until(writer.write, 60, "a line is taken while the nodes are rolled")
            writer.look()
            return rolling.done()

        wait_until(over, 900, "all three nodes are rolled")
        assert rolling.result().changed
        wait_until(lambda: store.health() == "green", 60, "the store is green")
        assert not [status for _, status in writer.seen if status == "red"]
        assert min(nodes for nodes, _ in writer.seen) == NODES - 1
        assert writer.times_away == [True] * NODES
        store.do("POST", f"/{stream('main')}/_refresh")
        assert store.do("POST", f"/{stream('main')}/_count", {})["count"] == writer.taken
