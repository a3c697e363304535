"""The Kubernetes stand-in on a real Kubernetes, driven by the real engine."""

import json
import os
import signal
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random
import pytest
from pulumi import automation

from testbed.cluster.cluster import Cluster
from testbed.engine.choice import Operation, Purpose
from testbed.engine.session import Engine, engine
from testbed.progress import Progress
from tests.cluster.bed import fresh_cluster

pytestmark = pytest.mark.cluster
NAME = "test-standin"
MUTABLE = {"enable_config_map_mutable": True, "enable_secret_mutable": True}


@pytest.fixture(scope="module")
def cluster(progress: Progress) -> Iterator[Cluster]:
    with fresh_cluster(NAME, progress) as made:
        yield made


@pytest.fixture(scope="module")
def using(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, progress: Progress) -> Iterator[Engine]:
    home = tmp_path_factory.mktemp("engine")
    with engine(Purpose.TEST, home, progress, kubeconfig=cluster.kubeconfig) as running:
        yield running


class Stack:
    """One stack with a namespace of its own; its program can be changed between operations."""

    def __init__(self, using: Engine, cluster: Cluster, name: str) -> None:
        self.namespace = name
        self.flags: dict[str, Any] = MUTABLE
        self.body: Callable[[pulumi.ResourceOptions], object] = lambda _: None
        self._using = using
        self._cluster = cluster
        self._stack = automation.create_or_select_stack(
            name,
            project_name="standin",
            program=self._program,
            opts=using.options({"PULUMI_CONFIG_PASSPHRASE": "test"}),
        )

    def _program(self) -> None:
        provider = k8s.Provider("cluster", namespace=self.namespace, **self.flags)
        options = pulumi.ResourceOptions(provider=provider)
        namespace = k8s.core.v1.Namespace("namespace", metadata={"name": self.namespace}, opts=options)
        self.body(pulumi.ResourceOptions(provider=provider, depends_on=[namespace]))

    def changes(self, operation: Operation) -> dict[str, int]:
        self._using.allow(operation)
        if operation is Operation.PREVIEW:
            found: dict[Any, int] = dict(self._stack.preview().change_summary)
        else:
            found = dict(getattr(self._stack, operation.value)().summary.resource_changes or {})
        return {str(kind): count for kind, count in found.items() if count}

    def up(self, body: Callable[[pulumi.ResourceOptions], object]) -> dict[str, int]:
        self.body = body
        return self.changes(Operation.UP)

    def fails(self, body: Callable[[pulumi.ResourceOptions], object]) -> str:
        """What the failed run said."""
        with pytest.raises(automation.CommandError) as failed:
            self.up(body)
        assert "Traceback" not in str(failed.value)
        return str(failed.value)

    def live(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def kubectl(self, *words: str) -> str:
        command = [str(self._cluster.kubectl), f"--kubeconfig={self._cluster.kubeconfig}", "-n", self.namespace, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    def files(self) -> list[str]:
        folder = Path(self._using.variables["PULUMI_BACKEND_URL"].removeprefix("file://"))
        return [path.read_text(errors="replace") for path in folder.rglob(f"*{self.namespace}*") if path.is_file()]

    def close(self) -> None:
        self._stack.destroy()
        self._stack.workspace.remove_stack(self._stack.name)


@pytest.fixture
def stack(using: Engine, cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Stack]:
    made = Stack(using, cluster, f"t{zlib.crc32(request.node.name.encode()):08x}")
    yield made
    made.close()


def pod_spec(image: str, *command: str, **more: Any) -> dict[str, Any]:
    return {"containers": [{"name": "main", "image": image, "args": list(command or ["sleep"]), **more}]}


def deployment(name: str, image: str, options: pulumi.ResourceOptions, **more: Any) -> k8s.apps.v1.Deployment:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod_spec(image, **more)}
    return k8s.apps.v1.Deployment(
        name,
        metadata={"name": name},
        spec={"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        opts=options,
    )


def job(name: str, image: str, *command: str, options: pulumi.ResourceOptions) -> k8s.batch.v1.Job:
    spec = {**pod_spec(image, *command), "restartPolicy": "Never"}
    return k8s.batch.v1.Job(
        name, metadata={"name": name}, spec={"backoffLimit": 0, "template": {"spec": spec}}, opts=options
    )


def config_map(options: pulumi.ResourceOptions, value: str, name: str = "settings") -> k8s.core.v1.ConfigMap:
    return k8s.core.v1.ConfigMap(name, metadata={"name": name}, data={"a": value}, opts=options)


def everything(image: str) -> Callable[[pulumi.ResourceOptions], None]:
    def program(options: pulumi.ResourceOptions) -> None:
        password = random.RandomPassword("password", length=24, special=False)
        secret = k8s.core.v1.Secret(
            "secret", metadata={"name": "secret"}, string_data={"password": password.result}, opts=options
        )
        config_map(options, "1")
        k8s.core.v1.ServiceAccount("account", metadata={"name": "account"}, opts=options)
        k8s.core.v1.PersistentVolumeClaim(
            "claim",
            metadata={"name": "claim"},
            spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}},
            opts=options,
        )
        ports = [{"port": 80, "targetPort": 8080}]
        k8s.core.v1.Service(
            "web", metadata={"name": "web"}, spec={"selector": {"app": "web"}, "ports": ports}, opts=options
        )
        deployment("web", image, options, env=[{"name": "PASSWORD", "value": password.result}])
        job("once", image, "write", "/dev/null", "x", options=options)
        k8s.apps.v1.StatefulSet(
            "store",
            metadata={"name": "store"},
            spec={
                "serviceName": "store",
                "replicas": 1,
                "selector": {"matchLabels": {"app": "store"}},
                "template": {"metadata": {"labels": {"app": "store"}}, "spec": pod_spec(image)},
            },
            opts=options,
        )
        pulumi.export("address", secret.metadata.name)

    return program


def test_a_stack_comes_up_ready_stays_and_goes_without_trace(stack: Stack, image: str) -> None:
    stack.body = everything(image)
    assert stack.changes(Operation.PREVIEW) == {"create": 12}
    assert stack.changes(Operation.UP) == {"create": 12}
    assert stack.live("deployment", "web")["status"]["readyReplicas"] == 1
    assert stack.live("statefulset", "store")["status"]["readyReplicas"] == 1
    assert stack.live("job", "once")["status"]["succeeded"] == 1
    assert stack.changes(Operation.UP) == {"same": 12}
    assert stack.changes(Operation.REFRESH) == {"same": 12}
    assert stack.changes(Operation.UP) == {"same": 12}
    password = json.loads(stack.kubectl("get", "secret", "secret", "-o", "json"))["data"]["password"]
    clear = subprocess.run(["base64", "-d"], input=password, capture_output=True, text=True, check=True).stdout
    assert len(clear) == 24
    files = stack.files()
    assert files
    assert not any(clear in text or password in text for text in files)
    assert stack.changes(Operation.DESTROY) == {"delete": 12}
    assert stack.kubectl("get", "namespace", stack.namespace, "--ignore-not-found") == ""


def test_a_changed_environment_rolls_a_deployment_in_place(stack: Stack, image: str) -> None:
    stack.up(lambda options: deployment("web", image, options, env=[{"name": "A", "value": "1"}]))
    before = stack.live("deployment", "web")["metadata"]["uid"]
    changed = stack.up(lambda options: deployment("web", image, options, env=[{"name": "A", "value": "2"}]))
    assert changed["update"] == 1
    assert "replace" not in changed
    assert stack.live("deployment", "web")["metadata"]["uid"] == before
    assert "2" in stack.kubectl("get", "pods", "-o", "jsonpath={.items[0].spec.containers[0].env[0].value}")


def test_a_changed_job_is_deleted_and_made_again(stack: Stack, image: str) -> None:
    stack.up(lambda options: job("once", image, "write", "/dev/null", "1", options=options))
    before = stack.live("job", "once")["metadata"]["uid"]
    changed = stack.up(lambda options: job("once", image, "write", "/dev/null", "2", options=options))
    assert changed["replace"] == 1
    after = stack.live("job", "once")
    assert after["metadata"]["uid"] != before
    assert after["status"]["succeeded"] == 1


@pytest.mark.parametrize("mutable", [True, False])
def test_a_changed_config_map_is_kept_where_the_provider_says_mutable(stack: Stack, mutable: bool) -> None:
    stack.flags = {"enable_config_map_mutable": mutable}
    stack.up(lambda options: config_map(options, "1"))
    before = stack.live("configmap", "settings")["metadata"]["uid"]
    changed = stack.up(lambda options: config_map(options, "2"))
    assert ("update" in changed, "replace" in changed) == (mutable, not mutable)
    after = stack.live("configmap", "settings")
    assert after["data"] == {"a": "2"}
    assert (after["metadata"]["uid"] == before) is mutable


def test_an_image_that_cannot_be_pulled_is_an_error_in_time_and_the_mend_works(stack: Stack, image: str) -> None:
    began = time.monotonic()
    said = stack.fails(lambda options: deployment("web", "no.such.registry/app:1", options))
    assert time.monotonic() - began < 90
    assert f"deployment/{stack.namespace}/web: container main of pod web-" in said
    assert "cannot pull image no.such.registry/app:1" in said
    assert "Mend:" in said
    before = stack.live("deployment", "web")["metadata"]["uid"]
    assert stack.up(lambda options: deployment("web", image, options))["update"] == 1
    assert stack.live("deployment", "web")["metadata"]["uid"] == before


def test_a_crash_loop_shows_the_last_lines_of_its_log(stack: Stack, image: str) -> None:
    spec = pod_spec(image, "frobnicate", readinessProbe={"tcpSocket": {"port": 1}})
    said = stack.fails(lambda options: k8s.core.v1.Pod("crash", metadata={"name": "crash"}, spec=spec, opts=options))
    assert "keeps ending (3 restarts)" in said
    assert 'unknown command "frobnicate"' in said


def test_a_failed_job_shows_the_last_lines_of_its_log(stack: Stack, image: str) -> None:
    said = stack.fails(lambda options: job("once", image, "frobnicate", options=options))
    assert "BackoffLimitExceeded" in said
    assert 'unknown command "frobnicate"' in said


def test_a_pod_that_fits_nowhere_says_so_when_its_time_is_over(stack: Stack, image: str) -> None:
    spec = pod_spec(image, resources={"requests": {"cpu": "1000"}})
    metadata = {"name": "huge", "annotations": {"pulumi.com/timeoutSeconds": "5"}}
    said = stack.fails(lambda options: k8s.core.v1.Pod("huge", metadata=metadata, spec=spec, opts=options))
    assert "can't be scheduled" in said
    assert "Insufficient cpu" in said


def test_a_quota_that_forbids_pods_is_named(stack: Stack, image: str) -> None:
    def program(options: pulumi.ResourceOptions) -> None:
        quota = k8s.core.v1.ResourceQuota(
            "quota", metadata={"name": "quota"}, spec={"hard": {"pods": "0"}}, opts=options
        )
        deployment("web", image, pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=[quota])))

    assert "exceeded quota" in stack.fails(program)


def test_drift_is_seen_by_a_refresh_and_put_right(stack: Stack) -> None:
    stack.up(lambda options: config_map(options, "1"))
    stack.kubectl("patch", "configmap", "settings", "--type=merge", "-p", '{"data": {"a": "drifted", "other": "x"}}')
    assert stack.changes(Operation.UP) == {"same": 4}
    assert stack.changes(Operation.REFRESH)["update"] == 1
    said = stack.fails(lambda options: config_map(options, "1"))
    assert "patchForce" in said


def test_what_was_deleted_by_hand_is_made_again_after_a_refresh(stack: Stack) -> None:
    stack.up(lambda options: config_map(options, "1"))
    stack.kubectl("delete", "configmap", "settings")
    stack.changes(Operation.REFRESH)
    assert stack.changes(Operation.UP) == {"same": 3, "create": 1}


def test_an_object_that_someone_else_made_is_not_taken_over(stack: Stack) -> None:
    stack.up(lambda _: None)
    stack.kubectl("create", "configmap", "settings", "--from-literal=a=theirs")
    said = stack.fails(lambda options: config_map(options, "ours"))
    assert "already exists in the cluster and this stack did not create it" in said
    assert stack.live("configmap", "settings")["data"] == {"a": "theirs"}
    stack.flags = {**MUTABLE, "upsert_existing_objects": True}
    stack.kubectl("delete", "configmap", "settings")
    stack.up(lambda options: config_map(options, "ours"))


def test_a_misspelled_field_is_refused(stack: Stack, image: str) -> None:
    said = stack.fails(lambda options: deployment("web", image, options, imagePulPolicy="Never"))
    assert "imagePulPolicy" in said


def test_a_preview_asks_the_cluster_and_changes_nothing(stack: Stack) -> None:
    stack.up(lambda options: config_map(options, "1"))
    version = stack.live("configmap", "settings")["metadata"]["resourceVersion"]
    stack.body = lambda options: config_map(options, "2")
    assert stack.changes(Operation.PREVIEW)["update"] == 1
    assert stack.live("configmap", "settings")["metadata"]["resourceVersion"] == version
    stack.body = lambda options: config_map(options, "1", name="Not_A_Name")
    with pytest.raises(automation.CommandError, match="Not_A_Name"):
        stack.changes(Operation.PREVIEW)


def test_an_interrupted_run_ends_soon_and_the_next_one_goes_on(stack: Stack, image: str) -> None:
    stack.body = lambda options: deployment("web", image, options, readinessProbe={"exec": {"command": ["/no"]}})
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(stack.changes, Operation.UP)
        deadline = time.monotonic() + 60
        while "web" not in stack.kubectl("get", "deployments", "-o", "name"):
            assert time.monotonic() < deadline, "the Deployment was not made within 60 s"
            assert not running.done(), running.exception()
        os.kill(child("pulumi"), signal.SIGINT)
        with pytest.raises(automation.CommandError, match="cancelled"):
            running.result(timeout=30)
    before = stack.live("deployment", "web")["metadata"]["uid"]
    assert stack.up(lambda options: deployment("web", image, options))["update"] == 1
    assert stack.live("deployment", "web")["metadata"]["uid"] == before


def child(name: str) -> int:
    """The process id of this process's child with the given name."""
    (found,) = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/stat")
        if (text := path.read_text()).split(")")[1].split()[1] == str(os.getpid()) and f"({name})" in text
    ]
    return found


def test_a_cluster_that_does_not_answer_is_one_clear_error(stack: Stack, tmp_path: Path, cluster: Cluster) -> None:
    text = cluster.kubeconfig.read_text()
    dead = tmp_path / "kubeconfig"
    dead.write_text("\n".join(_with_port(line, 9) for line in text.splitlines()))
    stack.flags = {"kubeconfig": str(dead)}
    for operation in (Operation.PREVIEW, Operation.UP):
        began = time.monotonic()
        with pytest.raises(automation.CommandError, match=r"cluster at https://.*:9 can't be used: nothing listens"):
            stack.changes(operation)
        assert time.monotonic() - began < 20


def _with_port(line: str, port: int) -> str:
    return f"{line.rpartition(':')[0]}:{port}" if "server: https://" in line else line


def test_sixty_unchanged_objects_take_seconds(stack: Stack) -> None:
    def program(options: pulumi.ResourceOptions) -> None:
        for number in range(60):
            config_map(options, "1", name=f"settings-{number}")

    stack.up(program)
    began = time.monotonic()
    assert stack.changes(Operation.UP) == {"same": 63}
    assert time.monotonic() - began < 30
