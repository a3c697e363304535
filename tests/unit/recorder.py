"""Runs the program against Pulumi's mocks and records what it registers, for tests to look at afterwards.

Registration is asynchronous: nothing may be asserted before the program has drained, which ``record`` sees to.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import mocks
from pulumi.runtime.proto import resource_pb2

SECRET_SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET_VALUE = "1b47061264138c4ac30d75fd1eb44270"


@dataclass(frozen=True)
class Registered:
    """One resource as the engine would have been asked for it. Numbers are whole where they are whole."""

    type: str
    name: str
    parent: str
    inputs: dict[str, Any]
    """With secrets unwrapped; ``secret_paths`` says where they were."""
    secret_paths: frozenset[str]
    protect: bool
    retained: bool
    """Whether it stays where it is when the program no longer has it."""
    provider: str
    dependencies: frozenset[str]
    custom: bool

    @property
    def kind(self) -> str:
        """The last part of the type: ``Deployment``."""
        return self.type.rpartition(":")[2]


@dataclass
class Recording:
    """Everything that a program registered, by name."""

    resources: list[Registered] = field(default_factory=list)
    components_registered: set[str] = field(default_factory=set)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str) -> dict[str, Registered]:
        return {r.name: r for r in self.resources if r.kind == kind}

    def one(self, kind: str, name: str) -> Registered:
        found = [r for r in self.resources if r.kind == kind and r.name == name]
        assert len(found) == 1, f"{kind} {name}: {len(found)} of {sorted(r.name for r in self.resources)}"
        return found[0]


class _Answers(mocks.Mocks):
    """States as the providers would give them: inputs, and a value for what is generated."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[Any, Any]]:
        state = dict(args.inputs)
        # As long as asked for, different for each name, with characters that trip up naive quoting.
        turn = (state.get("keepers") or {}).get("rotation", "0")
        begin = "p@ss'\"$w%rd/:" + ("" if turn == "0" else f"{turn}:")
        generated = (f"{begin}{args.name}:" + "x" * 64)[: int(state.get("length", 8))]
        if args.typ == "random:index/randomPassword:RandomPassword":
            state["result"] = {SECRET_SIGNATURE: SECRET_VALUE, "value": generated}
        elif args.typ == "random:index/randomId:RandomId":
            state["hex"] = "0a1b2c"
        elif args.typ == "tls:index/selfSignedCert:SelfSignedCert":
            state["certPem"] = f"certificate of {args.name}"
        elif args.typ == "tls:index/locallySignedCert:LocallySignedCert":
            state["validityEndTime"] = "2033-05-18T03:33:20Z"
        elif args.typ == "gcp:container/cluster:Cluster":
            state["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["endpoint"] = "gke-1.europe-west1.gke.goog"
        elif args.typ == "gcp:sql/databaseInstance:DatabaseInstance":
            state["connectionName"] = f"acme:{state['region']}:{state['name']}"
        elif args.typ == "gcp:serviceaccount/account:Account":
            state["email"] = f"{state['accountId']}@acme.iam.gserviceaccount.com"
            state["member"] = f"serviceAccount:{state['email']}"
            state["name"] = f"projects/acme/serviceAccounts/{state['email']}"
        elif args.typ == "gcp:compute/address:Address":
            state["address"] = "203.0.113.7"
            state["selfLink"] = f"https://www.googleapis.com/compute/v1/projects/acme/addresses/{state['name']}"
        elif args.typ == "kubernetes:discovery.k8s.io/v1:EndpointSlice":  # looked up: where the API server is
            state["endpoints"], state["ports"] = [{"addresses": ["10.99.0.1"]}], [{"name": "https", "port": 6443}]
        elif args.typ == "random:index/randomBytes:RandomBytes":
            # A later key's number shows near its end.
            number = args.name.rpartition("-")[2]
            ending = f"{int(number):08d}AAA" if number.isdigit() else "+//+" * 2 + "+/+"
            state["base64"] = {SECRET_SIGNATURE: SECRET_VALUE, "value": "++++////" * 4 + ending + "="}
        return f"{args.name}-id", state

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        if args.token == "gcp:artifactregistry/getDockerImage:getDockerImage":
            return dict(args.args), []
        raise AssertionError(f"the program called {args.token}: previews must not depend on the outside world")


class _Monitor(mocks.MockMonitor):
    """Sees what mocks do not: options, parents, and which components registered their outputs."""

    def __init__(self, recording: Recording) -> None:
        super().__init__(_Answers())
        self._recording = recording
        self._lock = threading.Lock()

    def RegisterResource(self, request: resource_pb2.RegisterResourceRequest) -> Any:  # noqa: N802 (gRPC's name)
        secret_paths: set[str] = set()
        inputs = _plain(_struct(request.object), "", secret_paths)
        if request.type == "pulumi:pulumi:Stack":  # the mocks make it only once in a process
            return super().RegisterResource(request)
        with self._lock:
            self._recording.resources.append(
                Registered(
                    type=request.type,
                    name=request.name,
                    parent=request.parent.rpartition("::")[2],
                    inputs=inputs,
                    secret_paths=frozenset(secret_paths),
                    protect=request.protect,
                    retained=request.retainOnDelete,
                    provider=request.provider.split("::")[-2] if request.provider else "",
                    dependencies=frozenset(urn.rpartition("::")[2] for urn in request.dependencies),
                    custom=request.custom,
                )
            )
        return super().RegisterResource(request)

    def RegisterResourceOutputs(self, request: resource_pb2.RegisterResourceOutputsRequest) -> Any:  # noqa: N802
        name = request.urn.rpartition("::")[2]
        with self._lock:
            if request.urn.split("::")[2] == "pulumi:pulumi:Stack":
                self._recording.outputs = _plain(_struct(request.outputs), "", set())
            self._recording.components_registered.add(name)
        return super().RegisterResourceOutputs(request)


def record(program: Callable[[], None], config: Mapping[str, str] | None = None, preview: bool = False) -> Recording:
    """Run ``program`` to its end and return what it registered."""
    recording = Recording()
    project, stack = "airflow-platform", "test"
    pulumi.runtime.set_all_config(dict(config or {}))
    mocks.set_mocks(_Answers(), project=project, stack=stack, preview=preview, monitor=_Monitor(recording))

    @pulumi.runtime.test
    def drained() -> None:
        program()

    drained()
    return recording


def _struct(message: Any) -> Any:
    from google.protobuf import json_format

    return json_format.MessageToDict(message)


def _plain(value: Any, path: str, secret_paths: set[str]) -> Any:
    if isinstance(value, dict):
        if value.get(SECRET_SIGNATURE) == SECRET_VALUE:
            secret_paths.add(path)
            return _plain(value["value"], path, secret_paths)
        if SECRET_SIGNATURE in value:  # an output value: its own secretness and dependencies
            if value.get("secret"):
                secret_paths.add(path)
            return _plain(value.get("value"), path, secret_paths)
        return {key: _plain(inner, f"{path}.{key}" if path else key, secret_paths) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, f"{path}[{index}]", secret_paths) for index, inner in enumerate(value)]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def dump(recording: Recording) -> str:
    """Readable text of a recording, for looking at a failed test."""
    return json.dumps([vars(r) for r in recording.resources], indent=1, default=sorted)
