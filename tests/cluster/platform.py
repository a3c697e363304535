"""A stack of the tests' own on a cluster of its own, driven as `make up` drives one."""

import copy
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config, dynamic
from kubernetes.dynamic.resource import ResourceList

from ops.airflow_api import AirflowApi
from ops.cluster_view import ClusterView
from ops.engine import Engine, Outcome, engine_on
from ops.reach import enter, save_authority
from ops.stack_file import ROOT
from ops.target import Target, target, with_images
from testbed.build import run
from testbed.cluster.cluster import Cluster
from testbed.engine.choice import Purpose
from testbed.paths import state_dir
from testbed.progress import Progress

STACK = "test"
CLUSTER = os.environ.get("AIRFLOW_PLATFORM_TEST_CLUSTER", "test-platform")
"""Another name, with another $AIRFLOW_PLATFORM_STATE, lets the tests of two clones run at once on one machine."""
PREVIEWER = "previewer@tests.example"
"""A user that may preview in the tests' cluster and change nothing."""
HEAR_INTERRUPTS = ("env", "--default-signal=INT")
"""Before a command: what a shell starts in the background ignores Ctrl-C, and so would all that it starts."""
Change = Callable[[dict[str, Any]], object]


class Platform:
    """The stack ``test``: the stack ``local`` with another cluster, and DAGs that the tests need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stacks = folder / "stacks"
        self.source = folder / "source"
        self.home = state_dir() / "stacks" / STACK
        self.output = io.StringIO()
        """Everything that any run printed."""
        self.progress = Progress(out=self.output)
        self.cluster = Cluster(CLUSTER, Progress())
        self._started: list[subprocess.Popen[str]] = []
        self.stacks.mkdir()
        shutil.copytree(ROOT / "dags-image", self.source / "dags-image")
        for dag in (Path(__file__).parent / "dags").glob("*.py"):
            shutil.copy(dag, self.source / "dags-image" / "dags")
        text = (ROOT / "stacks" / "Pulumi.local.yaml").read_text(encoding="utf-8")
        self._tree = yaml.safe_load(text)
        self._tree["config"]["airflow-platform:cluster"]["context"] = f"airflow-platform-{CLUSTER}"
        # The stack's own port may be somebody else's here.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._tree["config"]["airflow-platform:ingress"]["port"] = listener.getsockname()[1]
        self._tree["config"]["airflow-platform:previews"] = {"user": PREVIEWER}
        self.write()

    def remove(self) -> None:
        """End what was started, take the cluster down and forget the stack."""
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.cluster.down(delete=True)
        shutil.rmtree(self.home, ignore_errors=True)

    def write(self) -> None:
        """Write the stack file."""
        path = self.stacks / f"Pulumi.{STACK}.yaml"
        path.write_text(yaml.safe_dump(self._tree, sort_keys=False), encoding="utf-8")

    def change(self, change: Change) -> None:
        """Change the stack file for good; the function gets its keys without the project's name."""
        own = {key.partition(":")[2]: value for key, value in self._tree["config"].items()}
        change(own)
        self._tree["config"] = {f"airflow-platform:{key}": value for key, value in own.items()}
        self.write()

    @contextmanager
    def changed(self, change: Change) -> Iterator[None]:
        """Change the stack file for as long as the block lasts."""
        before = copy.deepcopy(self._tree)
        self.change(change)
        try:
            yield
        finally:
            self._tree = before
            self.write()

    def target(self) -> Target:
        """The stack as its file says it, with this machine's images."""
        return with_images(target(STACK, self.progress, self.stacks), self.progress, self.source)

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """The real engine on the stack."""
        with engine_on(self.target(), self.progress, Purpose.TEST, self.home) as engine:
            yield engine

    def up(self) -> Outcome:
        """What `make up` does with the stack; without the proof."""
        with self.engine() as engine:
            outcome = engine.up()
        save_authority(target(STACK, self.progress, self.stacks), outcome.outputs)
        return outcome

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `python -m ops` on the stack in a process group of its own, as a terminal would."""
        options = [f"--stack={STACK}", f"--stacks={self.stacks}", f"--source={self.source}"]
        process = subprocess.Popen(
            [*HEAR_INTERRUPTS, sys.executable, "-m", "ops", *arguments, *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    @contextmanager
    def airflow(self, name: str = "main") -> Iterator[AirflowApi]:
        """A session as the administrator of an Airflow."""
        login = self.view().secret(f"airflow-{name}", "admin")
        with enter(target(STACK, self.progress, self.stacks), name) as door:
            api = AirflowApi(door, login["username"], login["password"])
            api.log_in()
            yield api

    def view(self) -> ClusterView:
        """Secrets and pods."""
        return ClusterView(target(STACK, self.progress, self.stacks))

    @property
    def kubectl_command(self) -> list[str]:
        """How every kubectl command begins, as the cluster's administrator."""
        return [str(self.cluster.kubectl), f"--kubeconfig={self.cluster.kubeconfig}"]

    def kubectl(self, *arguments: str) -> str:
        """What a kubectl command prints; a Failure with it where it fails."""
        return run([*self.kubectl_command, *arguments])

    def api_client(self) -> client.ApiClient:
        """A client of the cluster's API as its administrator."""
        return config.new_client_from_config(str(self.cluster.kubeconfig))

    def objects(self) -> list[dict[str, Any]]:
        """Every object in the cluster that the API can list, Secrets too."""
        found: list[dict[str, Any]] = []
        dynamic_client = dynamic.DynamicClient(self.api_client())
        for resource in dynamic_client.resources.search():
            if isinstance(resource, ResourceList):
                continue  # the client's own shorthand for a kind that is found beside it
            if "list" in (resource.verbs or []) and "/" not in resource.name:
                items = resource.get().to_dict().get("items", [])
                found += [{"kind": resource.kind, **item} for item in items]
        return found
