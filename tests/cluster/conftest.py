"""What the tests on a real Kubernetes share."""

import os
import sys
from collections.abc import Iterator

import pytest

from testbed.progress import Progress
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
