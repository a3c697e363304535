"""The testbed's Kubernetes comes back after anything, and leaves nothing behind."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.cluster import control_plane, images
from testbed.cluster.cluster import Cluster
from testbed.cluster.layout import Layout
from testbed.cluster.processes import Component
from testbed.progress import Failure, Progress
from tests.cluster.bed import NAME, a_pod, kubectl, pids, probe, ready, succeed, through_its_service, until
from tests.cluster.platform import HEAR_INTERRUPTS

pytestmark = pytest.mark.cluster

OTHER_NAME = "test-bed-2"

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
NODE = ("containerd", "kubelet", "kube-proxy", "netpol", "volumes", "forward-10.99.0.1-6443")


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
