"""What the tests on a real Kubernetes share."""

import os
import sys
from collections.abc import Iterator

import pytest

from testbed.cluster import images
from testbed.cluster.cluster import Cluster
from testbed.progress import Progress
from tests.cluster.bed import NAME, a_claim, a_pod, a_service, fresh_cluster, ready, succeed
from tests.cluster.platform import Platform


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if sys.platform == "linux" and os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("cluster"):
            item.add_marker(pytest.mark.skip(reason="the testbed's Kubernetes needs root on Linux"))


@pytest.fixture(scope="session")
def progress() -> Progress:
    return Progress()


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One stack on one cluster for all tests of a running Airflow: they take it as they find it, and leave it well."""
    made = Platform(tmp_path_factory.mktemp("platform"))
    try:
        made.remove()
        made.cluster.up()
        made.up()
        yield made
    finally:
        made.remove()
        print(made.output.getvalue())


@pytest.fixture(scope="module")
def shared_cluster(progress: Progress) -> Iterator[Cluster]:
    with fresh_cluster(NAME, progress) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """It is up, whatever the test before has done to it."""
    if not shared_cluster.is_up():
        shared_cluster.up()
    return shared_cluster


@pytest.fixture(scope="module")
def image(progress: Progress) -> str:
    return images.test_image(progress)[0]


@pytest.fixture
def server(cluster: Cluster, image: str) -> str:
    """A pod that answers, behind a Service of its name, with a volume at /data."""
    name = "server"
    succeed(cluster, "apply", "-f-", manifest=[a_claim(name), a_pod(name, image, claim=name), a_service(name)])
    ready(cluster, name)
    return name


@pytest.fixture
def client(cluster: Cluster, image: str) -> str:
    succeed(cluster, "apply", "-f-", manifest=[a_pod("client", image)])
    ready(cluster, "client")
    return "client"
