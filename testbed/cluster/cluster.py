"""A Kubernetes of one node in a network namespace of its own: brought up, brought back, taken down without trace."""

import contextlib
import fcntl
import ipaddress
import os
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import yaml

from testbed.build import run
from testbed.cluster import (
    cgroups,
    control_plane,
    dns,
    forwards,
    images,
    metrics,
    mounts,
    network,
    node,
    node_view,
    pki,
    policies,
    processes,
    programs,
    remains,
    storage,
)
from testbed.cluster.api import Api
from testbed.cluster.layout import API_PORT, DNS_DOMAIN, NODE_IP, NODE_NAME, Layout
from testbed.cluster.processes import Component
from testbed.paths import state_dir
from testbed.progress import Failure, Progress

_NEEDED_DISK = 5 * 2**30  # bytes: images, their snapshots and a database fit into it
_POLL = 0.1  # seconds
_KUBELET = f"/api/v1/nodes/{NODE_NAME}/proxy"  # its own API, through the API server


class Cluster:
    """The cluster ``name`` (a DNS label of at most 20 characters); any number of them can run side by side.

    Nothing happens before one of the methods is called. All of them need root on Linux.
    """

    def __init__(self, name: str, progress: Progress) -> None:
        self._layout = Layout(name)
        self._progress = progress

    @property
    def state(self) -> Path:
        """The folder that holds everything the cluster keeps."""
        return self._layout.state

    @property
    def namespace_name(self) -> str:
        """Of the network namespace."""
        return self._layout.namespace

    @property
    def kubeconfig(self) -> Path:
        """For clients on this machine, outside of the namespace. The file is there once ``up`` has returned."""
        return self._layout.host_kubeconfig

    @property
    def kubectl(self) -> Path:
        """The client of the cluster's own version. The file is there once ``up`` has returned."""
        return self._layout.state / "kubectl"

    def up(self) -> None:
        """Bring up whatever is not running; returns when pods can run, names resolve and claims get volumes.

        A Failure shows the end of the log of the part that did not come up.
        """
        self._require_root()
        self._require_disk()
        built = programs.ensure(self._progress)
        pause_image, pause_archive = images.of_program("pause", built.pause, self._progress)
        dns_image, dns_archive = images.of_program("coredns", built.coredns, self._progress)
        with self._locked():
            fresh = self._clear_what_is_stale()
            if not network.exists(self._layout):
                network.make(self._layout)
            cgroups.make(self._layout)
            self._write_files(built, pause_image, [*dns.manifests(dns_image), *storage.manifests()])
            with self._progress.step("starting Kubernetes' control plane"):
                self._start_control_plane(built, [pause_archive, dns_archive])
            with self._progress.step("starting the node"):
                self._start_node(built, fresh)
            with self._progress.step("waiting for the cluster's resolver"):
                self._wait("no answer from the resolver", lambda: dns.answers(self._layout), 60, ["kubelet"])
            for forward in forwards.remembered(self._layout):
                try:
                    self.forward(forward.host, forward.port)
                except Failure:  # its Service is gone
                    forwards.forget(self._layout, forward)

    def down(self, delete: bool = False) -> None:
        """End the cluster's processes and pods and take back all that it has on the machine.

        What it keeps in its state folder comes back with the next ``up``, unless ``delete`` removes that, too.
        """
        self._require_root()
        with self._locked():
            with self._progress.step(f"ending the cluster {self._layout.name}"):
                remains.end_processes(self._layout, grace=5)
                remains.remove_traces(self._layout)
            if left := self.leftovers():
                raise Failure(
                    f"the cluster {self._layout.name} left something behind. Mend: the same again.\n" + "\n".join(left)
                )
            if delete:
                mounts.remove_tree(self._layout.state)

    def is_up(self) -> bool:
        """Whether every process lives and the API server says that it and the node are ready."""
        names = processes.names(self._layout)
        if "kubelet" not in names or not all(processes.is_running(self._layout, name) for name in names):
            return False
        return self._api.text("/readyz") == "ok" and self._node_is_ready(since=0)

    def leftovers(self) -> list[str]:
        """Every process, mount, namespace, cgroup and file outside of the state folder that is the cluster's."""
        return remains.listed(self._layout)

    def load_image(self, archive: Path, name: str = "") -> None:
        """Make the images in an OCI or Docker ``archive`` known to the cluster, if they are not yet.

        ``name`` is what progress calls it; default: the file's.
        """
        images.load(self._layout, archive, self._progress, name)

    def images(self) -> set[str]:
        """The names of the images that pods can use without a registry."""
        return set(images.present(self._layout))

    def forward(self, service_host: str, port: int, local_port: int | None = None) -> int:
        """A port of 127.0.0.1 that leads to ``service_host``:``port`` for as long as the cluster is up.

        ``service_host`` is an address in the cluster or ``<service>.<namespace>[.svc[.cluster.local]]``. Without
        ``local_port`` it is the port of the last time, or a free one. Refuses a ``local_port`` in use.
        """
        address = self._address_of(service_host)
        return forwards.ensure(self._layout, service_host, address, port, local_port)

    def serve_metrics(self) -> None:
        """Have what pods use served to autoscalers and `kubectl top`; returns when there are figures.

        Costs a pod of 40 MiB, and a build of two minutes once. Nothing is done where it is served already.
        """
        program = programs.go_program(metrics.PROGRAM, self._progress, title="building metrics-server")
        image, archive = images.of_program(metrics.PROGRAM, program, self._progress)
        self.load_image(archive, "metrics-server")
        path = self._layout.config / "metrics.yaml"
        path.write_text(yaml.safe_dump_all(metrics.manifests(image)))
        self._apply(path)
        with self._progress.step("waiting for what pods use"):
            self._wait("metrics-server has no figures", self._has_metrics, 240, ["kube-apiserver", "kubelet"])

    def exec_in_namespace(self, argv: Sequence[str]) -> list[str]:
        """The command that runs ``argv`` in the network namespace, where pods and Services have their addresses."""
        return [*network.enter(self._layout), *argv]

    def pod_memory(self) -> dict[tuple[str, str], int]:
        """The working set of every running pod in bytes, by namespace and name."""
        summary = self._api.get(f"{_KUBELET}/stats/summary")
        if summary is None:
            raise Failure(f"the cluster {self._layout.name} does not say what its pods use.\nMend: `make up`.")
        return {
            (pod["podRef"]["namespace"], pod["podRef"]["name"]): pod.get("memory", {}).get("workingSetBytes", 0)
            for pod in summary["pods"]
        }

    # How it comes up, in this order.

    def _clear_what_is_stale(self) -> bool:
        """Take away what ended unfinished; whether no pod survived from an earlier time.

        With the namespace gone, or the file systems of containers, what still runs is of no use.
        """
        if not network.exists(self._layout) or remains.containers_lost_their_mounts(self._layout):
            remains.end_processes(self._layout, grace=0)
            remains.remove_traces(self._layout)
        if cgroups.members(self._layout):
            return False
        if not processes.is_running(self._layout, "containerd"):
            remains.forget_pods(self._layout)
        return True

    def _write_files(self, built: programs.Programs, pause_image: str, manifests: list[dict[str, object]]) -> None:
        layout = self._layout
        for folder in (layout.state, layout.config, layout.volumes):
            folder.mkdir(parents=True, exist_ok=True)
        pki.make(layout)
        port = self.forward(NODE_IP, API_PORT)
        pki.write_kubeconfig(layout.host_kubeconfig, layout, "admin", f"https://127.0.0.1:{port}")
        pki.write_kubeconfig(layout.inner_kubeconfig, layout, "admin", f"https://{NODE_IP}:{API_PORT}")
        pki.write_kubeconfig(layout.node_kubeconfig, layout, "node", f"https://{NODE_IP}:{API_PORT}")
        node.write_config(layout, pause_image)
        policies.install_plugin(layout, built)
        self._manifests_file.write_text(yaml.safe_dump_all(manifests))
        self.kubectl.unlink(missing_ok=True)
        self.kubectl.symlink_to(built.kube)

    def _start_control_plane(self, built: programs.Programs, archives: Sequence[Path]) -> None:
        layout = self._layout
        node_view.prepare(layout)
        for component in (control_plane.etcd(layout), node.containerd(layout), control_plane.api_server(layout, built)):
            processes.start(layout, component)
        self._wait("containerd does not answer", lambda: images.are_available(layout), 30, ["containerd"])
        for archive in archives:
            images.load(layout, archive, self._progress)
        self._wait("the API server is not ready", self._api_is_ready, 60, ["kube-apiserver", "etcd"])
        self._apply(self._manifests_file)

    def _apply(self, file: Path) -> None:
        # Not in the person's home, where kubectl keeps what it learns by default.
        cache = self._layout.state / "kubectl-cache"
        apply = ["apply", "--server-side", "--force-conflicts", f"--filename={file}"]
        run([self.kubectl, f"--kubeconfig={self.kubeconfig}", f"--cache-dir={cache}", *apply])

    def _start_node(self, built: programs.Programs, fresh: bool) -> None:
        began = int(time.time())  # the API server's times are whole seconds
        started = {part.name for part in self._node_parts(built) if processes.start(self._layout, part)}
        since = began if "kubelet" in started else 0
        names = [part.name for part in self._node_parts(built)]
        self._wait("the node is not ready", lambda: self._node_is_ready(since), 60, ["kubelet", *names])
        self._wait("the kubelet does not know its pods", self._kubelet_knows_its_pods, 30, ["kubelet"])
        if fresh and since:
            self._wait("pods that ran before do not start", lambda: not self._pods_from_before(since), 120, ["kubelet"])

    def _node_parts(self, built: programs.Programs) -> list[Component]:
        """Every process that is started once the API server is ready. One more is one more line."""
        layout = self._layout
        return [
            control_plane.controller_manager(layout, built),
            control_plane.scheduler(layout, built),
            policies.enforcer(layout, built),  # before the kubelet: no pod starts without it
            node.kubelet(layout, built),
            node.proxy(layout, built),
            storage.provisioner(layout, built),
        ]

    def _api_is_ready(self) -> bool:
        return self._api.text("/readyz") == "ok" and self._api.get("/api/v1/namespaces/kube-system") is not None

    def _node_is_ready(self, since: float) -> bool:
        """Whether the kubelet said, at or after ``since``, that the node is ready."""
        found = self._api.get(f"/api/v1/nodes/{NODE_NAME}") or {}
        return any(
            one["type"] == "Ready" and one["status"] == "True" and _seconds(one["lastHeartbeatTime"]) >= since
            for one in found.get("status", {}).get("conditions", [])
        )

    def _has_metrics(self) -> bool:
        found = self._api.get(f"{metrics.API}/pods") or {}
        return bool(found.get("items"))

    def _kubelet_knows_its_pods(self) -> bool:
        """Whether it has read them from the API server since it started; until then it refuses logs and exec."""
        bound, known = (
            {pod["metadata"]["uid"] for pod in (self._api.get(path) or {}).get("items") or []}
            for path in (f"/api/v1/pods?fieldSelector=spec.nodeName={NODE_NAME}", _KUBELET + "/pods")
        )
        return bound <= known

    def _pods_from_before(self, since: float) -> bool:
        """Whether a container is still said to run since before ``since``, when nothing of it survived."""
        pods = (self._api.get("/api/v1/pods") or {"items": []})["items"]
        statuses = [status for pod in pods for status in pod["status"].get("containerStatuses", [])]
        running = [status["state"]["running"] for status in statuses if "running" in status["state"]]
        return any(_seconds(one["startedAt"]) < since for one in running)

    def _wait(self, problem: str, condition: Callable[[], bool], seconds: float, parts: Collection[str]) -> None:
        """Until ``condition``; a Failure after ``seconds``, or at once when one of ``parts`` has ended."""
        deadline = time.monotonic() + seconds
        while not condition():
            ended = next((part for part in parts if not processes.is_running(self._layout, part)), None)
            if ended or time.monotonic() > deadline:
                blamed = ended or next(iter(parts))
                why = f"{ended} has ended" if ended else f"waited {seconds:.0f} s"
                raise Failure(
                    f"cluster {self._layout.name}: {problem} ({why}).\n{processes.log_tail(self._layout, blamed)}\n"
                    "Mend: mend what the log says and run the command again; it goes on where it stopped."
                )
            time.sleep(_POLL)

    # What it stands on.

    @cached_property
    def _api(self) -> Api:
        return Api(self._layout, self._layout.host_kubeconfig)

    @property
    def _manifests_file(self) -> Path:
        return self._layout.config / "platform.yaml"

    def _address_of(self, host: str) -> str:
        with contextlib.suppress(ValueError):
            return str(ipaddress.ip_address(host))
        name, _, namespace = host.removesuffix(f".{DNS_DOMAIN}").removesuffix(".svc").partition(".")
        service: Mapping[str, dict[str, str]] = self._api.get(f"/api/v1/namespaces/{namespace}/services/{name}") or {}
        try:
            return str(ipaddress.ip_address(service["spec"]["clusterIP"]))
        except (KeyError, ValueError) as error:
            raise Failure(
                f"the cluster {self._layout.name} has no Service with an address at {host}.\n"
                "Mend: name an address, or a Service as <service>.<namespace>, that is no headless one."
            ) from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One command at a time brings this cluster up or down; another one waits."""
        self._layout.lock.parent.mkdir(parents=True, exist_ok=True)
        with self._layout.lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @staticmethod
    def _require_root() -> None:
        if sys.platform != "linux" or os.geteuid() != 0:
            raise Failure(
                "the testbed's own cluster needs root on Linux: it makes a network namespace, mounts and cgroups.\n"
                "Mend: run the command with sudo, or let the stack use a cluster that you have."
            )

    @staticmethod
    def _require_disk() -> None:
        free = shutil.disk_usage(state_dir()).free
        if free < _NEEDED_DISK:
            raise Failure(
                f"{free / 2**30:.1f} GiB are free at {state_dir()}; a cluster needs {_NEEDED_DISK / 2**30:.0f} GiB.\n"
                "Mend: make room there, or set AIRFLOW_PLATFORM_STATE to a folder on a larger disk."
            )


def _seconds(timestamp: str) -> float:
    return datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
