"""Two of what counts, and PgBouncer: a DAG run goes on while one of each is killed. One roll there, one back."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from ops.airflow_api import AirflowApi
from tests.cluster.looks import kill, pods_of, ready, run_in, run_pod, wait_until
from tests.cluster.platform import Platform

pytestmark = [pytest.mark.cluster, pytest.mark.long]
ASKS = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5).close()
    print("answers")
except OSError as error:
    print("refused:", type(error).__name__)
"""


@pytest.fixture(scope="module")
def pooled(platform: Platform) -> Iterator[Platform]:
    """The Airflow ``main`` with two api-servers and two PgBouncers."""

    def enlarge(config: dict[str, Any]) -> None:
        config["airflows"][0] |= {"replicas": {"apiServer": 2}, "pooler": {"enabled": True, "replicas": 2}}

    with platform.changed(enlarge):
        platform.up()
        # Those that were rolled away may still be draining.
        for part in ("api-server", "pgbouncer"):
            wait_until(lambda part=part: len(pods_of(platform, part)) == 2, 120, f"there are two pods of {part}")
        yield platform
    platform.up()


def running(api: AirflowApi, run_id: str) -> int:
    return [task["state"] for task in api.tasks("slow_chain", run_id)].count("running")


def test_a_dag_run_goes_on_while_a_pgbouncer_and_an_api_server_are_killed(pooled: Platform) -> None:
    with pooled.airflow() as api:
        api.wait_for_dag("slow_chain")
        run_id = api.trigger("slow_chain")
        wait_until(lambda: running(api, run_id) == 3, 180, "three tasks run")
    began = time.monotonic()
    kill(pooled, "pgbouncer")
    kill(pooled, "api-server")
    for part in ("pgbouncer", "api-server"):
        wait_until(lambda part=part: len(pods_of(pooled, part)) == 2 and ready(pooled, part), 240, f"{part} is back")
    print(f"\nboth of each again after {time.monotonic() - began:.0f} s")
    with pooled.airflow() as api:
        assert api.wait_for_run("slow_chain", run_id)["state"] == "success"
        assert {task["try_number"] for task in api.tasks("slow_chain", run_id)} == {1}
    for part in ("scheduler", "dag-processor", "triggerer"):
        wait_until(lambda part=part: ready(pooled, part), 180, f"{part} is ready")


def test_components_reach_pgbouncer_and_not_the_database(pooled: Platform) -> None:
    for host, port, expected in (
        ("pgbouncer.airflow-main.svc.cluster.local", "6432", "answers"),
        ("postgresql.postgresql.svc.cluster.local", "5432", "refused"),
    ):
        assert expected in run_in(pooled, "scheduler", ["python", "-c", ASKS, host, port]), host


def test_a_pod_without_the_label_reaches_neither(pooled: Platform) -> None:
    address = pods_of(pooled, "pgbouncer")[0].status.pod_ip
    said = run_pod(pooled, "airflow-main", "asks-pgbouncer", {}, ["python", "-c", ASKS, address, "6432"])
    assert "refused" in said, said


def test_pgbouncer_shows_its_metrics(pooled: Platform) -> None:
    # From its own pod: nothing of the Airflow may connect to this port.
    fetch = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9127/metrics').read().decode())"
    said = run_in(pooled, "pgbouncer", ["python3", "-c", fetch])
    assert "\npgbouncer_up 1\n" in said
    assert 'pgbouncer_pools_client_active_connections{database="airflow_main",user="airflow_main"}' in said


def test_the_liveness_probe_reads_through_pgbouncer(pooled: Platform) -> None:
    probe = ["python", "/opt/airflow/platform/heartbeat.py", "DagProcessorJob", "120"]
    assert "allowed" in run_in(pooled, "dag-processor", probe)
