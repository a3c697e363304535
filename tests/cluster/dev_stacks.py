"""Dev stacks on a base stack of the tests': made and deleted by command, as people do it, and what is left of one."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from kubernetes import client

from ops import dev
from ops.airflow_api import AirflowApi
from ops.cluster_view import ClusterView
from ops.reach import enter
from ops.stack_file import ROOT, StackFile
from ops.target import Target, target
from tests.cluster.platform import HEAR_INTERRUPTS, STACK, Change, Platform


@contextmanager
def a_base(platform: Platform, change: Change) -> Iterator[Platform]:
    """The platform as a base of dev stacks, changed thus. Afterwards they are gone and it is as it was."""
    shutil.copy(ROOT / "stacks" / dev.TEMPLATE, platform.stacks)
    with platform.changed(change):
        platform.up()
        try:
            yield platform
        finally:
            for lease in dev.known_stacks(on(platform), platform.progress).leases:
                dev.down(on(platform), lease.name, platform.progress)
    platform.up()


def on(base: Platform) -> Target:
    return target(STACK, base.progress, base.stacks)


def command(base: Platform, *arguments: str, owner: str = "al@example.com") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*HEAR_INTERRUPTS, sys.executable, "-m", "ops.dev", *arguments, f"--base={STACK}", f"--stacks={base.stacks}"],
        cwd=ROOT,
        env={**os.environ, "OWNER": owner},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def done(base: Platform, *arguments: str, owner: str = "al@example.com") -> tuple[int, str]:
    process = command(base, *arguments, owner=owner)
    output, _ = process.communicate(timeout=900)
    return process.returncode, output


def sql(base: Platform, query: str) -> list[str]:
    psql = ["psql", "--username=postgres", "--tuples-only", "--no-align", f"--command={query}"]
    return base.kubectl("--namespace=postgresql", "exec", "statefulset/postgresql", "--", *psql).split()


@contextmanager
def inside(base: Platform, name: str) -> Iterator[AirflowApi]:
    """A session in a dev stack's Airflow, through the base's way in."""
    login = ClusterView(on(base)).secret(f"airflow-dev-{name}", "admin")
    own = next(lease for lease in dev.known_stacks(on(base), base.progress).leases if lease.name == name)
    with enter(dev.placed(on(base), StackFile(own.stack, own.config, {}, {})), f"dev-{name}") as door:
        assert door.url.startswith(f"https://dev-{name}.airflow.localhost")
        api = AirflowApi(door, login["username"], login["password"])
        api.log_in()
        yield api


def left_of_it(base: Platform, name: str = "alice") -> dict[str, list[str]]:
    """Everything of a dev stack that is there: in the cluster, in the database, in the backend."""
    role = f"airflow_dev_{name}".replace("-", "_")
    core = client.CoreV1Api(base.api_client())
    volumes = core.list_persistent_volume().items
    found = {
        "namespaces": [
            one.metadata.name for one in core.list_namespace().items if str(one.metadata.name).endswith(f"dev-{name}")
        ],
        "requests": [
            one.metadata.name
            for one in core.list_namespaced_secret("dev-databases").items
            if str(one.metadata.name).endswith(f"dev-{name}")
        ],
        "volumes": [
            one.metadata.name
            for one in volumes
            if one.spec.claim_ref and one.spec.claim_ref.namespace == f"airflow-dev-{name}"
        ],
        "databases": sql(base, f"SELECT datname FROM pg_database WHERE datname = '{role}'"),
        "roles": sql(base, f"SELECT rolname FROM pg_roles WHERE rolname = '{role}'"),
        # Pulumi keeps its own copies of a state that is gone (.pulumi/backups), for whoever removed it by mistake.
        "state": [str(file) for file in (base.home / "state/.pulumi/stacks").rglob(f"{STACK}-dev-{name}.json")],
        "workspace": [str(file) for file in (base.home / "workspace").rglob(f"*dev-{name}.*")],
    }
    return {what: names for what, names in found.items() if names}
