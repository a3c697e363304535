"""The testbed's Kubernetes: it does what a Kubernetes does, comes back after anything, and leaves nothing behind."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from testbed.cluster import control_plane, images
from testbed.cluster.cluster import Cluster
from testbed.cluster.layout import Layout
from testbed.cluster.processes import Component
from testbed.progress import Failure, Progress
from tests.cluster.platform import HEAR_INTERRUPTS

pytestmark = pytest.mark.cluster

NAME = "test-bed"
OTHER_NAME = "test-bed-2"

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
NODE = ("containerd", "kubelet", "kube-proxy", "netpol", "volumes", "forward-10.99.0.1-6443")


class Answer(NamedTuple):
    code: int
    out: str


def kubectl(cluster: Cluster, *words: str, manifest: list[dict[str, Any]] | None = None) -> Answer:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifest}) if manifest else None
    own = [f"--kubeconfig={cluster.kubeconfig}", f"--cache-dir={cluster.state}/kubectl-cache"]
    command = [str(cluster.kubectl), *own, *words]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False)
    return Answer(done.returncode, done.stdout + done.stderr)


def succeed(cluster: Cluster, *words: str, manifest: list[dict[str, Any]] | None = None) -> str:
    answer = kubectl(cluster, *words, manifest=manifest)
    assert answer.code == 0, f"kubectl {' '.join(words)}: {answer.out}"
    return answer.out


def probe(cluster: Cluster, pod: str, *words: str) -> Answer:
    return kubectl(cluster, "exec", pod, "--", "/probe", *words)


def until(what: str, condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def a_pod(name: str, image: str, claim: str | None = None, user: int = 0) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "probe", "image": image, "args": ["listen", "tcp:8080", "udp:8080"]}
    spec: dict[str, Any] = {"containers": [container], "securityContext": {"runAsUser": user, "fsGroup": user}}
    if claim:
        container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
        spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def a_service(name: str) -> dict[str, Any]:
    ports = [
        {"name": protocol, "protocol": protocol.upper(), "port": 80, "targetPort": 8080} for protocol in ("tcp", "udp")
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports},
    }


def a_claim(name: str) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def ready(cluster: Cluster, pod: str) -> None:
    succeed(cluster, "wait", f"pod/{pod}", "--for=condition=Ready", "--timeout=60s")


def pids(cluster: Cluster) -> dict[str, int]:
    """Of the recorded processes, by name."""
    records = (cluster.state / "run").glob("*.json")
    return {file.stem: json.loads(file.read_text())["pid"] for file in records}


@pytest.fixture(scope="module")
def shared_cluster(progress: Progress) -> Iterator[Cluster]:
    cluster = Cluster(NAME, progress)
    try:
        cluster.down(delete=True)
        cluster.up()
        cluster.load_image(images.test_image(progress)[1])
        yield cluster
    finally:
        cluster.down(delete=True)


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


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_pod_reaches_another_through_a_service_by_its_name_and_is_seen_by_its_own_address(
    cluster: Cluster, server: str, client: str, protocol: str
) -> None:
    address = succeed(cluster, "get", "pod", client, "-o", "jsonpath={.status.podIP}")
    until(
        "the Service leads to the pod",
        lambda: probe(cluster, client, "connect", protocol, server, "80") == (0, f"{server} {address}\n"),
    )
    full_name = f"{server}.default.svc.cluster.local"
    assert probe(cluster, client, "connect", protocol, full_name, "80") == (0, f"{server} {address}\n")


def through_its_service(cluster: Cluster, pod: str) -> bool:
    """Whether ``pod`` reaches itself at its Service, whose short name is the pod's own hostname."""
    return probe(cluster, pod, "connect", "tcp", f"{pod}.default", "80").out.startswith(pod)


def test_a_pod_reaches_itself_through_its_own_service(cluster: Cluster, server: str) -> None:
    until("it answers itself", lambda: through_its_service(cluster, server))


def test_there_is_no_way_out_and_that_is_said_at_once(cluster: Cluster, client: str) -> None:
    began = time.monotonic()
    resolved = probe(cluster, client, "resolve", "www.example.com")
    connected = probe(cluster, client, "connect", "tcp", "192.0.2.1", "80", "30s")
    assert resolved.code == 1
    assert "no such host" in resolved.out
    assert connected.code == 1
    assert "unreachable" in connected.out or "no route" in connected.out
    assert time.monotonic() - began < 5


def test_any_user_can_write_to_a_volume_and_the_volume_goes_with_its_claim(cluster: Cluster, image: str) -> None:
    succeed(cluster, "apply", "-f-", manifest=[a_claim("scratch"), a_pod("scratch", image, claim="scratch", user=1234)])
    ready(cluster, "scratch")
    assert probe(cluster, "scratch", "write", "/data/word", "kept").code == 0
    volume = succeed(cluster, "get", "pvc", "scratch", "-o", "jsonpath={.spec.volumeName}")
    folder = Path(succeed(cluster, "get", "pv", volume, "-o", "jsonpath={.spec.local.path}"))
    assert (folder / "word").read_text() == "kept"
    assert folder.is_relative_to(cluster.state)
    assert folder.stat().st_gid == 1234  # fsGroup counts, as on a cloud's disk

    succeed(cluster, "delete", "pod/scratch", "pvc/scratch", "--grace-period=1")
    until("the folder is removed", lambda: not folder.exists())
    until("the volume is removed", lambda: kubectl(cluster, "get", "pv", volume).code != 0)


def test_an_image_that_is_nowhere_is_reported_and_not_waited_for(cluster: Cluster) -> None:
    succeed(cluster, "apply", "-f-", manifest=[a_pod("nowhere", "testbed.local/nowhere:1")])
    reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    until("it says why", lambda: "ImagePull" in succeed(cluster, "get", "pod", "nowhere", "-o", reason), 20)
    succeed(cluster, "delete", "pod", "nowhere", "--grace-period=0", "--force")


def test_images_are_loaded_once(cluster: Cluster, progress: Progress, monkeypatch: pytest.MonkeyPatch) -> None:
    name, archive = images.test_image(progress)
    assert name in cluster.images()
    steps: list[str] = []
    monkeypatch.setattr(progress, "say", steps.append)
    cluster.load_image(archive)
    assert steps == []


def test_it_says_what_each_pod_uses(cluster: Cluster, server: str) -> None:
    until("memory is measured", lambda: cluster.pod_memory().get(("default", server), 0) > 100_000)


def test_a_forwarded_service_answers_on_this_machine(cluster: Cluster, server: str) -> None:
    port = cluster.forward(f"{server}.default", 80)

    def answer() -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"hello\n")
            return connection.recv(100)

    until("the Service answers", lambda: answer().startswith(server.encode()))
    assert cluster.forward(f"{server}.default", 80) == port


def test_a_forwarded_port_that_is_taken_is_named(cluster: Cluster, server: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Failure, match=f"port {port} of 127.0.0.1 cannot lead to {server}.default:8080"):
            cluster.forward(f"{server}.default", 8080, local_port=port)


def test_a_service_that_does_not_exist_is_named(cluster: Cluster) -> None:
    with pytest.raises(Failure, match=r"no Service with an address at nobody\.default"):
        cluster.forward("nobody.default", 80)


def test_up_again_starts_nothing_anew(cluster: Cluster, server: str) -> None:
    before = pids(cluster)
    cluster.up()
    assert pids(cluster) == before
    assert before.keys() >= {*CONTROL_PLANE, *NODE}
    assert cluster.is_up()


def restarts(cluster: Cluster, pod: str) -> int:
    return int(succeed(cluster, "get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].restartCount}"))


@pytest.mark.parametrize("name", [*CONTROL_PLANE, *NODE])
def test_a_process_that_died_is_brought_back_while_pods_go_on(cluster: Cluster, server: str, name: str) -> None:
    before, restarted = pids(cluster), restarts(cluster, server)
    os.kill(before[name], signal.SIGKILL)
    until("it has ended", lambda: not cluster.is_up(), 10)
    cluster.up()
    assert cluster.is_up()
    assert {part for part, pid in pids(cluster).items() if pid != before[part]} >= {name}
    assert restarts(cluster, server) == restarted
    assert probe(cluster, server, "connect", "tcp", "localhost", "8080").code == 0


def destroy(cluster: Cluster) -> None:
    """End every process of the cluster, undo its mounts, and remove its namespace, as a crash of the machine would."""
    for line in cluster.leftovers():
        if pid := re.match(r"process (\d+):", line):
            os.kill(int(pid[1]), signal.SIGKILL)
    unmount(cluster)
    subprocess.run(["ip", "netns", "delete", cluster.namespace_name], check=True)


def unmount(cluster: Cluster) -> None:
    mounts = [line.removeprefix("mount ") for line in cluster.leftovers() if line.startswith("mount ")]
    assert mounts
    subprocess.run(["umount", "--lazy", *mounts], capture_output=True, check=False)  # some may go by themselves
    assert str(cluster.state) not in Path("/proc/self/mountinfo").read_text()


def test_it_comes_back_with_its_pods_and_their_data_when_everything_is_gone(cluster: Cluster, server: str) -> None:
    assert probe(cluster, server, "write", "/data/word", "kept").code == 0
    identity = succeed(cluster, "get", "pod", server, "-o", "jsonpath={.metadata.uid}")
    port = cluster.forward(f"{server}.default", 80)
    destroy(cluster)
    assert not cluster.is_up()

    cluster.up()

    assert cluster.is_up()
    ready(cluster, server)
    assert succeed(cluster, "get", "pod", server, "-o", "jsonpath={.metadata.uid}") == identity
    assert probe(cluster, server, "read", "/data/word") == (0, "kept")
    assert cluster.forward(f"{server}.default", 80) == port
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass


def test_it_comes_back_when_only_its_namespace_is_gone(cluster: Cluster, server: str) -> None:
    subprocess.run(["ip", "netns", "delete", cluster.namespace_name], check=True)
    cluster.up()
    ready(cluster, server)
    until("it answers itself", lambda: through_its_service(cluster, server))


def test_it_comes_back_when_only_its_mounts_are_gone(cluster: Cluster, server: str) -> None:
    unmount(cluster)
    cluster.up()
    ready(cluster, server)
    until("it answers itself", lambda: through_its_service(cluster, server))


def test_a_pod_that_mounts_the_nodes_logs_reads_this_clusters_and_the_machine_has_none(
    cluster: Cluster, image: str
) -> None:
    speaker, reader = a_pod("speaker", image), a_pod("reader", image)
    speaker["spec"] |= {"restartPolicy": "Never"}
    speaker["spec"]["containers"][0]["args"] = ["connect", "tcp", "127.0.0.1", "1"]
    reader["spec"]["containers"][0]["volumeMounts"] = [{"name": "logs", "mountPath": "/var/log", "readOnly": True}]
    reader["spec"]["volumes"] = [{"name": "logs", "hostPath": {"path": "/var/log", "type": "Directory"}}]
    succeed(cluster, "apply", "-f-", manifest=[speaker, reader])
    ready(cluster, "reader")
    succeed(cluster, "wait", "pod/speaker", "--for=jsonpath={.status.phase}=Failed", "--timeout=60s")
    where = "jsonpath={.status.containerStatuses[0].containerID}"
    container = succeed(cluster, "get", "pod", "speaker", "-o", where).removeprefix("containerd://")
    file = f"/var/log/containers/speaker_default_probe-{container}.log"
    until("the line is there", lambda: "refused" in probe(cluster, "reader", "read", file).out)
    assert not Path(file).is_symlink()
    succeed(cluster, "delete", "pod", "speaker", "reader", "--now")


def test_down_leaves_nothing_on_the_machine_and_up_has_the_data_again(cluster: Cluster, server: str) -> None:
    assert probe(cluster, server, "write", "/data/word", "still there").code == 0
    known = pids(cluster)

    cluster.down()

    assert cluster.leftovers() == []
    assert not [pid for pid in known.values() if Path(f"/proc/{pid}").exists()]
    assert (
        cluster.namespace_name not in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    )
    assert str(cluster.state) not in Path("/proc/self/mountinfo").read_text()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/{Layout(NAME).cgroup}"))
    results = [file.read_text() for file in Path("/var/lib/cni/results").glob("*")]
    assert not [text for text in results if f"{cluster.state}/" in text]
    cluster.down()  # again: nothing to do, nothing to complain about

    cluster.up()
    ready(cluster, server)
    assert probe(cluster, server, "read", "/data/word") == (0, "still there")


def test_down_cleans_up_after_a_crash(cluster: Cluster, server: str) -> None:
    destroy(cluster)
    cluster.down()
    assert cluster.leftovers() == []
    cluster.up()


def test_two_clusters_live_side_by_side(cluster: Cluster, server: str, image: str, progress: Progress) -> None:
    other = Cluster(OTHER_NAME, progress)
    try:
        other.up()
        other.load_image(images.test_image(progress)[1])
        succeed(other, "apply", "-f-", manifest=[a_pod("lonely", image)])
        ready(other, "lonely")
        assert probe(other, "lonely", "connect", "tcp", "lonely", "8080").code == 0
        assert kubectl(other, "get", "pod", server).code == 1
        assert kubectl(cluster, "get", "pod", "lonely").code == 1
        assert cluster.is_up()
    finally:
        other.down(delete=True)
    assert other.leftovers() == []
    assert not other.state.exists()
    assert cluster.is_up()
    until("it answers itself", lambda: through_its_service(cluster, server))


def test_an_interrupted_up_shows_no_traceback_and_the_next_one_succeeds(cluster: Cluster) -> None:
    cluster.down()
    command = [*HEAR_INTERRUPTS, sys.executable, "-m", "testbed.cluster", "up", NAME]
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stderr
        said = process.stderr.readline()
        while "starting the node" not in said:
            said = process.stderr.readline()
            assert said, "it ended before it could be interrupted"
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode != 0
    assert "interrupted" in rest
    assert "Traceback" not in rest
    cluster.up()
    assert cluster.is_up()


def test_a_part_that_does_not_start_is_named_with_the_end_of_its_log(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(
            control_plane, "etcd", lambda layout: Component("etcd", ["sh", "-c", "echo the disk is on fire; exit 1"])
        )
        with pytest.raises(Failure, match=r"(?s)etcd has ended.*etcd\.log.*the disk is on fire"):
            cluster.up()
    cluster.up()
    assert cluster.is_up()


def test_a_full_disk_is_refused_before_anything_starts(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage("/")._replace(free=2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(Failure, match=r"1\.0 GiB are free at .*needs 5 GiB"):
        cluster.up()


def test_only_root_can_bring_it_up(progress: Progress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Failure, match="needs root on Linux"):
        Cluster(NAME, progress).up()


@pytest.mark.parametrize("name", ["", "Big", "1st", "a_b", "-a", "a-", "x" * 21, "../up"])
def test_a_name_that_is_no_label_is_refused(progress: Progress, name: str) -> None:
    with pytest.raises(Failure, match="no name for a cluster"):
        Cluster(name, progress)


def test_a_state_folder_with_too_long_a_path_is_refused(
    progress: Progress, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_PLATFORM_STATE", str(tmp_path / ("x" * 60)))
    with pytest.raises(Failure, match="too long for the Unix sockets"):
        Cluster(NAME, progress)
