"""A provider whose types are described as data: check, diff, create, update, read and delete without a backend."""

import secrets
from collections.abc import Mapping

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from testbed.engine import judging
from testbed.engine.comparing import changes
from testbed.engine.description import Function, Input, ResourceType, Rules
from testbed.engine.judging import with_defaults
from testbed.engine.servicer import Refusal, Session, StandIn, check_response, diff_response, invoke_response
from testbed.engine.templates import fill, lookup, place
from testbed.engine.values import UNKNOWN, Properties, Secret, Value, from_struct, plain, secret_like, to_struct
from testbed.progress import Failure


class DescribedStandIn(StandIn):
    """What it creates lives in the engine's state only."""

    rules: Rules

    # -- what a provider overrides

    def check(self, kind: str, inputs: Properties) -> list[Refusal]:
        """What is wrong with known inputs beyond what the rules say."""
        return []

    def make(self, kind: str, inputs: Properties) -> tuple[str, Mapping[str, Value]]:
        """The id and the computed outputs of a new resource. ``inputs`` are complete and without secret wrappers."""
        outputs = described_outputs(self.described(kind), inputs)
        return str(fill(self.described(kind).id, _settled(inputs, outputs))), outputs

    def read(self, kind: str, state: Properties) -> Properties:
        """The state after a refresh."""
        return state

    def must_replace(self, kind: str, state: Properties, inputs: Properties) -> list[str]:
        """Properties that force a replacement although no input changed."""
        return []

    # -- the protocol

    def described(self, kind: str) -> ResourceType:
        """The entry for the type token ``kind``."""
        if kind not in self.rules.types:
            raise Failure(
                f"the {self.package} stand-in has no entry for {kind}. Mend: add it to {self._file}, with the document "
                "that describes it."
            )
        return self.rules.types[kind]

    @property
    def _file(self) -> str:
        return f"testbed/engine/rules/{self.package}.yaml"

    def file_of(self, token: str) -> str:
        return f"testbed/engine/rules/{self.rules.files.get(token, f'{self.package}.yaml')}"

    def check_config(self, news: Properties) -> list[Refusal]:
        known = {"version", "pluginDownloadURL", *self.rules.config}
        return [
            Refusal(key, f"the {self.package} stand-in has no entry for it. Mend: add it to {self._file}.")
            for key in news
            if key not in known and not key.startswith("__")
        ]

    def Check(  # noqa: N802
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        def check() -> provider_pb2.CheckResponse:
            described = self.described(_kind(request.urn))
            news = {key: value for key, value in from_struct(request.news).items() if value is not None}
            inputs = self._complete(described, news, from_struct(request.olds), request, self.session(context))
            wrong = judging.refusals(described, inputs, self.file_of(_kind(request.urn)))
            return check_response(inputs, wrong or self.check(_kind(request.urn), plain(inputs)))

        return self.guarded(context, check)

    def _complete(
        self,
        described: ResourceType,
        news: Properties,
        olds: Properties,
        request: provider_pb2.CheckRequest,
        session: Session,
    ) -> Properties:
        inputs = {key: _prepared(described.inputs.get(key), value) for key, value in news.items()}
        auto = described.autoname
        if auto and auto.property not in inputs:
            name = request.urn.rsplit("::", 1)[1][: auto.maximum - 8]
            suffix = request.randomSeed.hex()[:7] or secrets.token_hex(4)[:7]
            made = f"{name.lower() if auto.lower else name}{auto.separator}{suffix}"
            inputs[auto.property] = plain(olds.get(auto.property)) or made
            inputs[_GENERATED] = [auto.property]
        return self._configured(described.inputs, inputs, session)

    def _configured(self, fields: dict[str, Input], given: Properties, session: Session) -> Properties:
        """``given``, filled from the provider's own configuration where the rules say so."""
        config = session.config or {}
        filled = {key: config.get(entry.from_config) for key, entry in fields.items() if entry.from_config}
        return {**given, **{key: value for key, value in filled.items() if value and key not in given}}

    def Diff(  # noqa: N802
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        def diff() -> provider_pb2.DiffResponse:
            kind = _kind(request.urn)
            described = self.described(kind)
            state, old, new = (plain(from_struct(part)) for part in (request.olds, request.old_inputs, request.news))
            found = changes(described, old, new, self.rules.blank_is_missing)
            forced = self.must_replace(kind, state, new)
            replaced = bool(forced) or any(found.values())
            return diff_response(found, forced, replaced and _must_delete_first(described, old, new))

        return self.guarded(context, diff)

    def Create(  # noqa: N802
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CreateResponse:
        def create() -> provider_pb2.CreateResponse:
            kind = _kind(request.urn)
            described = self.described(kind)
            inputs = with_defaults(described.inputs, _visible(from_struct(request.properties)))
            if request.preview:
                state = _settled(inputs, dict.fromkeys(described.outputs, UNKNOWN))
                return provider_pb2.CreateResponse(properties=to_struct(_secret(described, state)))
            id_, outputs = self.make(kind, plain(inputs))
            state = _secret(described, _settled(inputs, outputs))
            return provider_pb2.CreateResponse(id=id_, properties=to_struct(state))

        return self.guarded(context, create)

    def Update(  # noqa: N802
        self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.UpdateResponse:
        def update() -> provider_pb2.UpdateResponse:
            described = self.described(_kind(request.urn))
            old = from_struct(request.olds)
            inputs = with_defaults(described.inputs, _visible(from_struct(request.news)))
            state = _settled(inputs, _recomputed(described, old, inputs))
            return provider_pb2.UpdateResponse(properties=to_struct(_secret(described, state)))

        return self.guarded(context, update)

    def Read(  # noqa: N802
        self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ReadResponse:
        def read() -> provider_pb2.ReadResponse:
            if not request.properties.fields:
                raise Failure(
                    f"the {self.package} stand-in keeps nothing but what it created itself: {request.id} can't be "
                    "imported or looked up. Mend: use the real provider."
                )
            kind = _kind(request.urn)
            old = from_struct(request.properties)
            before = plain(old)
            now = self.read(kind, before)
            inputs = _followed(from_struct(request.inputs), before, now)
            state = to_struct(secret_like(now, old))
            return provider_pb2.ReadResponse(id=request.id, properties=state, inputs=to_struct(inputs))

        return self.guarded(context, read)

    def Delete(  # noqa: N802
        self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        def delete() -> empty_pb2.Empty:
            described = self.described(_kind(request.urn))
            state = plain(from_struct(request.properties))
            for protection in (*self.rules.protected, *described.protected):
                if reason := protection.text({**state, "id": request.id}):
                    raise Failure(f"{request.id} is not deleted: {reason}")
            if described.on_delete:
                self.session(context).engine.warning(request.urn, str(fill(described.on_delete, state)))
            return empty_pb2.Empty()

        return self.guarded(context, delete)

    def Invoke(  # noqa: N802
        self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.InvokeResponse:
        def invoke() -> provider_pb2.InvokeResponse:
            function = self.rules.functions.get(request.tok)
            if function is None:
                raise Failure(
                    f"the {self.package} stand-in has no entry for the function {request.tok}. Mend: add it to "
                    f"{self._file}, with the document that describes it."
                )
            given = plain(from_struct(request.args))
            return self._called(request.tok, function, self._configured(function.inputs, given, self.session(context)))

        return self.guarded(context, invoke)

    def _called(self, token: str, function: Function, inputs: Properties) -> provider_pb2.InvokeResponse:
        wrong = judging.refusals(function, inputs, self.file_of(token))
        for refused in () if wrong else function.refused:
            if reason := refused.text(inputs):
                raise Failure(reason)
        return invoke_response({} if wrong else {**inputs, **fill(function.result, inputs)}, wrong)


_GENERATED = "__defaults"
"""Where the real providers, too, note which names were made up: such an object can be made beside its old self."""


def described_outputs(described: ResourceType, inputs: Properties) -> Properties:
    """The outputs that the rules give a template or a constant for, by property."""
    values = dict(inputs)
    made: Properties = {}
    for key, output in described.outputs.items():
        made[key] = fill(output.value, values)
        values = _settled(values, {key: made[key]})
    return made


def _recomputed(described: ResourceType, old: Properties, inputs: Properties) -> Properties:
    """The outputs after an update: what code or the vendor chose once stays, what follows from the inputs follows."""
    kept = {key: lookup(old, key) for key in described.outputs}
    chosen = {key for key in kept if key in described.inputs or "." in key or described.outputs[key].value is None}
    stays = {key: kept[key] for key in chosen if kept[key] is not None}
    return {**described_outputs(described, plain(_settled(inputs, stays))), **stays}


def _settled(inputs: Properties, outputs: Mapping[str, Value]) -> Properties:
    """``inputs`` with what was computed beside and inside them; what the program set itself stays."""
    state = dict(inputs)
    for key, value in outputs.items():
        state = place(state, key, value)
    return state


def _followed(inputs: Properties, before: Properties, now: Properties) -> Properties:
    """``inputs`` as they would be for what was found: what differs from ``before`` is what is there ``now``."""
    followed: Properties = {}
    for key, value in inputs.items():
        old, new = before.get(key), now.get(key)
        if old == new:
            followed[key] = value
        elif isinstance(value, dict) and isinstance(old, dict) and isinstance(new, dict):
            followed[key] = _followed(value, old, new)
        else:
            followed[key] = Secret(new) if isinstance(value, Secret) else new
    return followed


def _visible(inputs: Properties) -> Properties:
    return {key: value for key, value in inputs.items() if not key.startswith("__")}


def _must_delete_first(described: ResourceType, old: Properties, new: Properties) -> bool:
    """Whether the new object would collide with the old one: it does where the program fixed the name and keeps it."""
    name = described.autoname.property if described.autoname else ""
    fixed = bool(name) and name not in (new.get(_GENERATED) or []) and old.get(name) == new.get(name)
    return described.delete_first or fixed


def _prepared(entry: Input | None, value: Value) -> Value:
    """``value`` as the vendor keeps it, with secrets marked wherever the rules say so."""
    if entry is None or isinstance(value, Secret):
        return value
    if entry.secret:
        return Secret(value)
    if entry.upper and isinstance(value, str):
        return value.upper()
    if entry.type == "object" and isinstance(value, dict):
        return {key: _prepared(entry.properties.get(key), item) for key, item in value.items()}
    if entry.items and isinstance(value, list):
        return [_prepared(entry.items, item) for item in value]
    return value


def _secret(described: ResourceType, state: Properties) -> Properties:
    names = {key for key, entry in described.inputs.items() if entry.secret}
    names |= {key for key, entry in described.outputs.items() if entry.secret}
    return {
        key: Secret(value) if key in names and not isinstance(value, Secret) else value for key, value in state.items()
    }


def _kind(urn: str) -> str:
    """The type token in ``urn``, without the types of its parents."""
    return urn.split("::")[2].rsplit("$", 1)[-1]
