"""The real engine with the stand-ins attached, on programs that need no cluster."""

import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as kubernetes
import pulumi_random as random
import pulumi_tls as tls
import pytest
from pulumi import automation

from testbed.engine.choice import Operation, Purpose, Refused
from testbed.engine.session import Engine, engine
from testbed.progress import Progress

pytestmark = pytest.mark.engine
PASSPHRASE = {"PULUMI_CONFIG_PASSPHRASE": "test"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    home = tmp_path_factory.mktemp("engine")
    with engine(Purpose.TEST, home, Progress(), kubeconfig=home / "there-is-no-kubeconfig") as running:
        yield running


class Runner:
    """One stack whose program can be changed between operations."""

    def __init__(self, using: Engine, name: str) -> None:
        self._using = using
        self.program: Callable[[], object] = lambda: None
        self.stack = automation.create_or_select_stack(
            name, project_name="standins", program=self._run, opts=using.options(PASSPHRASE)
        )

    def _run(self) -> None:
        self.program()

    def changes(self, operation: Operation) -> dict[str, int]:
        self._using.allow(operation)
        if operation is Operation.PREVIEW:
            return {str(kind): count for kind, count in self.stack.preview().change_summary.items() if count}
        done = getattr(self.stack, operation.value)()
        return {kind: count for kind, count in (done.summary.resource_changes or {}).items() if count}

    def state(self) -> dict[str, Any]:
        deployment = self.stack.export_stack().deployment or {}
        return {entry["urn"].rsplit("::", 1)[1]: entry for entry in deployment["resources"]}


@pytest.fixture
def runner(shared: Engine, request: pytest.FixtureRequest) -> Iterator[Runner]:
    made = Runner(shared, f"s{zlib.crc32(request.node.name.encode()):08x}")
    yield made
    made.stack.destroy()
    made.stack.workspace.remove_stack(made.stack.name)


def secrets_and_a_bucket(*, length: int = 20, location: str = "EU", storage_class: str = "STANDARD") -> None:
    password = random.RandomPassword("password", length=length, special=False)
    key = tls.PrivateKey("key", algorithm="ECDSA", ecdsa_curve="P256")
    tls.SelfSignedCert(
        "certificate",
        private_key_pem=key.private_key_pem,
        subject=tls.SelfSignedCertSubjectArgs(common_name="a.example"),
        dns_names=["a.example"],
        validity_period_hours=24,
        allowed_uses=["server_auth"],
    )
    bucket = gcp.storage.Bucket(
        "bucket",
        project="p",
        location=location,
        storage_class=storage_class,
        labels={"checksum": password.result.apply(lambda text: f"length-{len(text)}")},
    )
    pulumi.export("password", password.result)
    pulumi.export("url", bucket.url)


def test_a_stack_is_previewed_made_kept_and_destroyed(runner: Runner) -> None:
    runner.program = secrets_and_a_bucket
    assert runner.changes(Operation.PREVIEW) == {"create": 5}
    assert runner.changes(Operation.UP) == {"create": 5}
    first = runner.stack.outputs()
    assert len(first["password"].value) == 20
    assert first["password"].secret
    assert first["url"].value.startswith("gs://bucket-")
    assert runner.changes(Operation.UP) == {"same": 5}
    assert runner.stack.outputs()["password"].value == first["password"].value
    assert runner.changes(Operation.REFRESH) == {"same": 5}
    assert runner.changes(Operation.DESTROY) == {"delete": 5}


def test_a_change_updates_or_replaces_as_the_rules_say(runner: Runner) -> None:
    runner.program = secrets_and_a_bucket
    runner.changes(Operation.UP)
    before = runner.state()["bucket"]["id"]
    runner.program = lambda: secrets_and_a_bucket(storage_class="NEARLINE")
    assert runner.changes(Operation.UP) == {"same": 4, "update": 1}
    assert runner.state()["bucket"]["id"] == before
    runner.program = lambda: secrets_and_a_bucket(location="US")
    assert runner.changes(Operation.UP)["replace"] == 1
    assert runner.state()["bucket"]["id"] != before


def test_a_longer_password_is_a_new_one(runner: Runner) -> None:
    runner.program = secrets_and_a_bucket
    runner.changes(Operation.UP)
    runner.program = lambda: secrets_and_a_bucket(length=30)
    assert runner.changes(Operation.UP)["replace"] == 1
    assert len(runner.stack.outputs()["password"].value) == 30


def test_no_secret_is_in_clear_in_the_state(runner: Runner, shared: Engine) -> None:
    runner.program = secrets_and_a_bucket
    runner.changes(Operation.UP)
    password = runner.stack.outputs()["password"].value
    folder = Path(shared.variables["PULUMI_BACKEND_URL"].removeprefix("file://"))
    texts = [path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()]
    assert any('"random:index/randomPassword:RandomPassword"' in text for text in texts)
    for text in texts:
        assert password not in text
        assert "PRIVATE KEY" not in text


def test_a_misspelled_property_of_a_bucket_is_refused_before_anything_is_made(runner: Runner) -> None:
    def program() -> None:
        bucket = gcp.storage.Bucket("bucket", project="p", location="EU")
        pulumi.CustomResource("gcp:storage/bucket:Bucket", "odd", {"location": bucket.location, "locatoin": "EU"})

    runner.program = program
    with pytest.raises(automation.CommandError, match=r"locatoin.*\n?.*no entry for this property"):
        runner.changes(Operation.PREVIEW)


def test_a_cloud_type_that_nobody_described_is_refused(runner: Runner) -> None:
    runner.program = lambda: gcp.pubsub.Topic("topic", project="p")
    with pytest.raises(automation.CommandError, match=r"gcp:pubsub/topic:Topic.*rules/gcp\.yaml"):
        runner.changes(Operation.PREVIEW)


def test_the_projects_default_comes_from_the_provider(runner: Runner) -> None:
    def program() -> None:
        provider = gcp.Provider("cloud", project="from-the-provider")
        gcp.compute.Network("network", auto_create_subnetworks=False, opts=pulumi.ResourceOptions(provider=provider))

    runner.program = program
    runner.changes(Operation.UP)
    assert runner.state()["network"]["outputs"]["project"] == "from-the-provider"


def test_two_providers_of_one_kind_keep_their_own_configuration(runner: Runner) -> None:
    def program() -> None:
        for name in ("one", "two"):
            provider = gcp.Provider(name, project=f"project-{name}")
            gcp.compute.Network(f"net-{name}", opts=pulumi.ResourceOptions(provider=provider))

    runner.program = program
    runner.changes(Operation.UP)
    state = runner.state()
    assert [state[f"net-{name}"]["outputs"]["project"] for name in ("one", "two")] == ["project-one", "project-two"]


def test_a_missing_kubeconfig_is_one_clear_error(runner: Runner) -> None:
    runner.program = lambda: kubernetes.core.v1.ConfigMap("settings", data={"a": "b"})
    began = time.monotonic()
    with pytest.raises(automation.CommandError, match="there is no kubeconfig") as refused:
        runner.changes(Operation.PREVIEW)
    assert time.monotonic() - began < 15
    assert "Traceback" not in str(refused.value)


def test_a_kubeconfig_that_is_not_known_yet_can_be_previewed(runner: Runner) -> None:
    def program() -> None:
        later = random.RandomPet("later").id
        provider = kubernetes.Provider("cluster", kubeconfig=later)
        kubernetes.core.v1.ConfigMap("settings", data={"a": "b"}, opts=pulumi.ResourceOptions(provider=provider))

    runner.program = program
    assert runner.changes(Operation.PREVIEW) == {"create": 4}


def test_the_harness_refuses_up_with_a_real_cloud_plugin(tmp_path: Path) -> None:
    with engine(Purpose.TEST, tmp_path, Progress()) as running:
        attached = ",".join(
            part for part in running.variables["PULUMI_DEBUG_PROVIDERS"].split(",") if not part.startswith("gcp:")
        )
        unsafe = Engine(running.choice, {**running.variables, "PULUMI_DEBUG_PROVIDERS": attached})
        made = Runner(unsafe, "unsafe")
        made.program = secrets_and_a_bucket
        for operation in (Operation.UP, Operation.REFRESH, Operation.DESTROY):
            with pytest.raises(Refused, match="gcp"):
                made.changes(operation)
        assert "resources" not in (made.stack.export_stack().deployment or {})


def test_sixty_resources_are_previewed_in_seconds(runner: Runner) -> None:
    def program() -> None:
        for number in range(60):
            random.RandomId(f"id-{number}", byte_length=4)

    runner.program = program
    began = time.monotonic()
    assert runner.changes(Operation.PREVIEW) == {"create": 61}
    assert time.monotonic() - began < 20


def test_the_stand_ins_run_as_a_process_of_their_own(tmp_path: Path) -> None:
    serving = subprocess.Popen(
        [sys.executable, "-m", "testbed.engine.serve", "--only", "random", "gcp"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert serving.stdout is not None
        names = [part.partition(":")[0] for part in serving.stdout.readline().strip().split(",")]
        assert names == ["random", "gcp"]
    finally:
        serving.terminate()
        assert serving.wait(timeout=20) == 0
