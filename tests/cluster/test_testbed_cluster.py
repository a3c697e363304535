"""The testbed's Kubernetes does for pods what a Kubernetes does."""

import socket
import time
from pathlib import Path

import pytest

from testbed.cluster import images
from testbed.cluster.cluster import Cluster
from testbed.progress import Failure, Progress
from tests.cluster.bed import a_claim, a_pod, kubectl, probe, ready, succeed, through_its_service, until

pytestmark = pytest.mark.cluster


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
