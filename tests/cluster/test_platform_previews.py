"""The previewer in a real cluster: its dry runs are answered, everything else of its is refused. And the smoke test."""

from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import client

from ops.smoke import smoke
from ops.target import target
from testbed.progress import Failure
from tests.cluster.platform import PREVIEWER, STACK, Platform

pytestmark = pytest.mark.cluster
NAMESPACE = "airflow-main"
REFUSED = "the previewer changes nothing: only dry runs are allowed"
FORBIDDEN = (403, 422)
"""RBAC says 403; an admission policy without a reason of its own 422."""


def previewer(platform: Platform) -> client.ApiClient:
    api = platform.api_client()
    api.set_default_header("Impersonate-User", PREVIEWER)
    return api


def refusal(request: Callable[[], object]) -> str:
    with pytest.raises(client.ApiException) as refused:
        request()
    assert refused.value.status in FORBIDDEN
    return str(refused.value.body)


def test_the_previewer_sends_dry_runs_and_nothing_else(platform: Platform) -> None:
    api = previewer(platform)
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
    new: dict[str, Any] = {"metadata": {"name": "by-the-previewer"}, "data": {"a": "b"}}
    patch: dict[str, Any] = {"spec": {"replicas": 3}}

    assert REFUSED in refusal(lambda: core.create_namespaced_config_map(NAMESPACE, new))
    made = core.create_namespaced_config_map(NAMESPACE, new, dry_run="All")
    assert made.data == {"a": "b"}
    shown = apps.patch_namespaced_deployment("triggerer", NAMESPACE, patch, dry_run="All")
    assert shown.spec.replicas == 3
    assert REFUSED in refusal(lambda: apps.patch_namespaced_deployment("triggerer", NAMESPACE, patch))
    assert "cannot delete" in refusal(lambda: apps.delete_namespaced_deployment("triggerer", NAMESPACE, dry_run="All"))
    policy = {"spec": {"matchConditions": []}}
    name = "airflow-platform-previewer"
    admission = client.AdmissionregistrationV1Api(api)
    assert "cannot patch" in refusal(lambda: admission.patch_validating_admission_policy(name, policy))

    administrator = platform.api_client()
    there = client.AppsV1Api(administrator).read_namespaced_deployment("triggerer", NAMESPACE)
    assert there.spec.replicas == 1
    names = [one.metadata.name for one in client.CoreV1Api(administrator).list_namespaced_config_map(NAMESPACE).items]
    assert "by-the-previewer" not in names


@pytest.mark.long
def test_the_smoke_test_runs_a_dag_in_every_airflow_and_says_what_is_wrong(platform: Platform) -> None:
    on = target(STACK, platform.progress, platform.stacks)
    (line,) = smoke(on, "", "example_sales_report", platform.progress)
    assert line.startswith("Airflow main: example_sales_report manual__")
    assert ": success in " in line
    with pytest.raises(Failure, match=r"has no Airflow 'other'.\nMend: AIRFLOW= one of main"):
        smoke(on, "other", "example_sales_report", platform.progress)
