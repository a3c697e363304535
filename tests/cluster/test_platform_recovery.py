"""An Airflow from a dump of its database and its Fernet key, after everything else is lost. In this order."""

import base64
import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from kubernetes import client

from ops.cluster_work import MANAGER, REPLICAS
from tests.cluster.looks import run_in, wait_until
from tests.cluster.platform import STACK, Platform

pytestmark = pytest.mark.cluster
PASSWORD = "p@ss $HOME ~%(x)s'\"\\;:/?#[]ü"
MOTTO = "per aspera ad astra"  # another one: Airflow masks a connection's password wherever it shows up
LOST = {"airflow-main", "postgresql"}


@dataclass(frozen=True)
class Kept:
    """What is in a safe place when the rest is lost."""

    dump: Path
    keys: Path
    key: str = field(repr=False)
    run_id: str
    admin_password: str = field(repr=False)


@pytest.fixture(scope="module")
def kept(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    folder = tmp_path_factory.mktemp("kept")
    key = platform.view().secret("airflow-main", "airflow-keys")["fernet-key"]
    with platform.airflow() as api:
        connection = {"connection_id": "vault", "conn_type": "http", "host": "example.com", "password": PASSWORD}
        api.post("/connections", connection)
        api.post("/variables", {"key": "motto", "value": MOTTO})
        api.wait_for_dag("says_much")
        run_id = api.trigger("says_much")
        assert api.wait_for_run("says_much", run_id)["state"] == "success"
    (folder / "keys.json").write_text(json.dumps({"fernetKey": key}), encoding="utf-8")
    admin = platform.view().secret("airflow-main", "admin")["password"]
    platform.change(lambda config: config.pop("secrets", None))  # other tests' secrets in clear, which recover refuses
    platform.change(lambda config: config["airflows"][0].pop("rotations", None))  # given keys take their place
    yield Kept(folder / "main.dump", folder / "keys.json", key, run_id, admin)
    # The stack file on disk has the key now; what the next test writes should have it, too.
    written = (platform.stacks / f"Pulumi.{STACK}.yaml").read_text(encoding="utf-8")
    platform._tree = yaml.safe_load(written)  # pyright: ignore[reportPrivateUsage]


def run(platform: Platform, *arguments: str) -> tuple[int, str]:
    process = platform.command(*arguments)
    said, _ = process.communicate(timeout=600)
    assert "Traceback" not in said, said
    assert PASSWORD not in said
    return process.returncode, said


def short_lived(platform: Platform) -> list[str]:
    pods = client.CoreV1Api(platform.api_client()).list_pod_for_all_namespaces().items
    return [name for pod in pods if (name := pod.metadata.name).startswith(("database-tools-", "recover-"))]


def lose_everything(platform: Platform) -> None:
    """Both namespaces with all that is in them, and Pulumi's state with the passphrase to it."""
    core = client.CoreV1Api(platform.api_client())
    for namespace in LOST:
        core.delete_namespace(namespace)
        core.delete_collection_namespaced_pod(namespace, grace_period_seconds=0)
    wait_until(
        lambda: not LOST & {namespace.metadata.name for namespace in core.list_namespace().items}, 120, "all is lost"
    )
    shutil.rmtree(platform.home)


def test_a_dump_is_written_while_airflow_runs_and_an_interrupted_one_leaves_nothing(
    platform: Platform, kept: Kept
) -> None:
    process = platform.command("dump", f"--file={kept.dump}")
    wait_until(lambda: bool(short_lived(platform)) or process.poll() is not None, 60, "the pod with the tools is made")
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert list(kept.dump.parent.iterdir()) == [kept.keys]
    wait_until(lambda: not short_lived(platform), 30, "the pod with the tools is gone")
    code, said = run(platform, "dump", f"--file={kept.dump}")
    assert code == 0, said
    assert kept.dump.read_bytes().startswith(b"PGDMP")
    assert PASSWORD.encode() not in kept.dump.read_bytes()
    wait_until(lambda: not short_lived(platform), 30, "the pod with the tools is gone")


def test_an_airflow_with_something_in_it_is_not_replaced(platform: Platform, kept: Kept) -> None:
    code, said = run(platform, "recover", f"--dump={kept.dump}", f"--keys={kept.keys}")
    assert code == 1, said
    assert "the database of Airflow main is not fresh: DAG runs: " in said
    assert "Nothing was changed." in said
    assert "secure:" not in (platform.stacks / f"Pulumi.{STACK}.yaml").read_text(encoding="utf-8")


def test_keys_that_do_not_fit_are_named_and_leave_airflow_stopped(platform: Platform, kept: Kept) -> None:
    lose_everything(platform)
    wrong = kept.keys.with_name("wrong.json")
    wrong.write_text(json.dumps({"fernetKey": base64.urlsafe_b64encode(os.urandom(32)).decode()}), encoding="utf-8")
    code, said = run(platform, "recover", f"--dump={kept.dump}", f"--keys={wrong}")
    assert code == 1, said
    assert f"KEYS: {wrong} does not hold the keys of this dump" in said
    assert "password of connection vault" in said
    assert "variable motto" in said
    assert "As it stands: Airflow main is stopped; its database holds the dump." in said
    assert "Mend:" in said
    deployments = client.AppsV1Api(platform.api_client()).list_namespaced_deployment("airflow-main").items
    assert [deployment.spec.replicas for deployment in deployments] == [0] * 4


def test_the_same_airflow_comes_back_with_its_runs_and_an_encrypted_connection_opens(
    platform: Platform, kept: Kept
) -> None:
    code, said = run(platform, "recover", f"--dump={kept.dump}", f"--keys={kept.keys}")
    assert code == 0, said
    assert "is recovered from" in said
    assert kept.key not in said
    assert platform.view().secret("airflow-main", "airflow-keys")["fernet-key"] == kept.key
    printed = run_in(platform, "scheduler", ["airflow", "connections", "get", "vault", "--output=json"])
    (connection,) = json.loads(printed.splitlines()[-1])
    assert connection["password"] == PASSWORD
    assert platform.view().secret("airflow-main", "admin")["password"] != kept.admin_password
    with platform.airflow() as api:  # with the new state's password, in the old one's database
        assert api.run("says_much", kept.run_id)["state"] == "success"
        assert api.get("/variables/motto")["value"] == MOTTO
    wait_until(lambda: not short_lived(platform), 60, "what the recovery made is gone")


def test_afterwards_the_key_stands_encrypted_in_the_stack_file_and_up_changes_nothing(
    platform: Platform, kept: Kept
) -> None:
    text = (platform.stacks / f"Pulumi.{STACK}.yaml").read_text(encoding="utf-8")
    written = yaml.safe_load(text)
    assert set(written["config"]["airflow-platform:secrets"]["main"]["fernetKey"]) == {"secure"}
    assert kept.key not in text
    assert written["config"]["airflow-platform:ephemeral"] is True
    outcome = platform.up()
    assert outcome.changed == 0, outcome
    assert platform.view().secret("airflow-main", "airflow-keys")["fernet-key"] == kept.key


def test_pulumi_may_change_what_the_recovery_stopped_and_started(platform: Platform) -> None:
    apps = client.AppsV1Api(platform.api_client())
    for deployment in apps.list_namespaced_deployment("airflow-main").items:
        assert deployment.spec.replicas == 1
        assert REPLICAS not in (deployment.metadata.annotations or {})
        assert MANAGER not in {entry.manager for entry in deployment.metadata.managed_fields or []}
