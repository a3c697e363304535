"""What pods use, as the testbed's metrics-server tells autoscalers and people."""

import pytest

from testbed.build import run
from tests.cluster.looks import wait_until
from tests.cluster.platform import Platform

pytestmark = [pytest.mark.cluster, pytest.mark.long]


def test_kubectl_top_shows_what_pods_use(platform: Platform) -> None:
    platform.cluster.serve_metrics()
    kubectl = [platform.cluster.kubectl, f"--kubeconfig={platform.cluster.kubeconfig}"]

    def top() -> str:
        return run([*kubectl, "top", "pods", "--namespace=airflow-main", "--no-headers"])

    wait_until(lambda: "scheduler-" in top(), 90, "the scheduler has figures")
