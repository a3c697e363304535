"""What every stand-in provider has in common: the protocol's life cycle, sessions, and how errors travel."""

import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from testbed.engine.diffing import Change, path_text
from testbed.engine.engine_log import EngineLog
from testbed.engine.values import Properties, from_struct, to_struct
from testbed.progress import Failure

_T = TypeVar("_T")
_KINDS = {
    ("add", False): provider_pb2.PropertyDiff.ADD,
    ("add", True): provider_pb2.PropertyDiff.ADD_REPLACE,
    ("delete", False): provider_pb2.PropertyDiff.DELETE,
    ("delete", True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    ("update", False): provider_pb2.PropertyDiff.UPDATE,
    ("update", True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


class InitError(Exception):
    """The resource exists, but is not in the state that was asked for. The engine keeps it and retries later."""

    def __init__(self, id_: str, properties: Properties, reasons: list[str], inputs: Properties | None = None) -> None:
        super().__init__(reasons[0])
        self.id = id_
        self.properties = properties
        self.reasons = reasons
        self.inputs = inputs


@dataclass(frozen=True)
class Refusal:
    """Why ``Check`` refuses an input; ``property`` is its path."""

    property: str
    reason: str


@dataclass
class Session:
    """One provider resource of one running engine: it holds one connection, and with it its configuration."""

    engine: EngineLog
    config: Properties | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    extra: Any = None
    """What the provider made of ``config``."""


class StandIn(provider_pb2_grpc.ResourceProviderServicer):
    """A provider that is served to the engine by ``PULUMI_DEBUG_PROVIDERS``.

    The engine opens a connection per provider resource and sends everything of that resource over it, but names the
    resource in no request. The connection's address therefore tells several configurations apart.
    """

    package: str
    """The provider's name, e.g. ``random``."""
    version: str
    """What ``GetPluginInfo`` says: the version of the SDK whose rules the stand-in follows."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    # -- sessions

    def session(self, context: grpc.ServicerContext) -> Session:
        """The session of this request's connection.

        A connection that was re-made has a new address: then the one configuration that there is holds, and with
        several different ones the request is refused, for it could reach the wrong one.
        """
        with self._lock:
            if found := self._sessions.get(context.peer()):
                return found
            configured = [s for s in self._sessions.values() if s.config is not None and not s.cancelled.is_set()]
            if not configured:
                return self._sessions.setdefault(context.peer(), Session(EngineLog("")))
            if any(s.config != configured[-1].config for s in configured):
                raise Failure(
                    f"the {self.package} stand-in lost its connection to the engine and holds several different "
                    "configurations: it can't tell which one is meant. Mend: run the command again."
                )
            return configured[-1]

    def _open(self, context: grpc.ServicerContext, engine: str) -> None:
        """Start a session. The engine cancels a provider when it is done with it: those are let go of here."""
        with self._lock:
            self._sessions = {peer: s for peer, s in self._sessions.items() if not s.cancelled.is_set()}
            self._sessions[context.peer()] = Session(EngineLog(engine))

    def close(self) -> None:
        """Cancel what is under way and let go of all connections."""
        with self._lock:
            for session in self._sessions.values():
                session.cancelled.set()
                session.engine.close()
            self._sessions.clear()

    # -- life cycle

    def Handshake(  # noqa: N802
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        self._open(context, request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(  # noqa: N802
        self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        return empty_pb2.Empty()  # the handshake on the same connection came first and said the same

    def GetPluginInfo(  # noqa: N802
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self.version)

    def GetSchema(  # noqa: N802
        self, request: provider_pb2.GetSchemaRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetSchemaResponse:
        return provider_pb2.GetSchemaResponse(schema="{}")

    def CheckConfig(  # noqa: N802
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        refusals = self.guarded(context, lambda: self.check_config(from_struct(request.news)))
        return provider_pb2.CheckResponse(inputs=request.news, failures=_failures(refusals))

    def DiffConfig(  # noqa: N802
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        old = from_struct(request.old_inputs if request.old_inputs.fields else request.olds)
        changed, replaces = self.guarded(context, lambda: self.diff_config(old, from_struct(request.news)))
        some = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=some, diffs=changed, replaces=replaces)

    def Configure(  # noqa: N802
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        def configure() -> None:
            session = self.session(context)
            session.extra = self.configure(session, from_struct(request.args))
            session.config = from_struct(request.args)

        self.guarded(context, configure)
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:  # noqa: N802
        with self._lock:
            if session := self._sessions.get(context.peer()):
                session.cancelled.set()
        return empty_pb2.Empty()

    def Invoke(  # noqa: N802
        self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.InvokeResponse:
        reason = f"the {self.package} stand-in answers no function calls: {request.tok}. Mend: use a resource."
        return provider_pb2.InvokeResponse(failures=_failures([Refusal("", reason)]))

    def Construct(  # noqa: N802
        self, request: provider_pb2.ConstructRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConstructResponse:
        _abort(
            context,
            f"the {self.package} stand-in can't expand the component {request.type}. Mend: use plain resources, or "
            "the real provider.",
        )

    # -- what a provider overrides

    def check_config(self, news: Properties) -> list[Refusal]:
        """What is wrong with the provider resource's own inputs."""
        return []

    def diff_config(self, old: Properties, new: Properties) -> tuple[list[str], list[str]]:
        """The provider inputs that changed, and those among them that replace all its resources."""
        return sorted(key for key in {*old, *new} - {"version"} if old.get(key) != new.get(key)), []

    def configure(self, session: Session, config: Properties) -> Any:
        """Make what the session needs from ``config``; the result is kept as ``session.extra``."""
        return None

    # -- errors

    def guarded(self, context: grpc.ServicerContext, work: Callable[[], _T]) -> _T:
        """Run ``work``; what it raises reaches the engine as the protocol wants it, without a traceback.

        ``InitError`` becomes a partial failure, ``Failure`` its text. Anything else is a mistake of the stand-in:
        the engine is told so, and the traceback goes to standard error for whoever mends the stand-in.
        """
        try:
            return work()
        except InitError as error:
            _abort_partially(context, error)
        except Failure as error:
            _abort(context, str(error))
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            _abort(context, f"mistake in the {self.package} stand-in: {type(error).__name__}: {error}")


def check_response(inputs: Properties, refusals: list[Refusal]) -> provider_pb2.CheckResponse:
    """The answer of ``Check``."""
    return provider_pb2.CheckResponse(inputs=to_struct(inputs), failures=_failures(refusals))


def invoke_response(result: Properties, refusals: list[Refusal]) -> provider_pb2.InvokeResponse:
    """The answer of ``Invoke``."""
    return provider_pb2.InvokeResponse(**{"return": to_struct(result)}, failures=_failures(refusals))


def diff_response(
    changes: Mapping[Change, bool], replaces: list[str] | None = None, delete_first: bool = False
) -> provider_pb2.DiffResponse:
    """The answer of ``Diff``: each change with whether it forces a replacement, and more properties that do."""
    response = provider_pb2.DiffResponse(hasDetailedDiff=True, deleteBeforeReplace=delete_first)
    for change, forced in changes.items():
        text = path_text(change.path)
        response.detailedDiff[text].kind = _KINDS[change.kind, forced]
        response.detailedDiff[text].inputDiff = True
        response.diffs.append(str(change.path[0]))
        if forced:
            response.replaces.append(text)
    response.replaces.extend(replaces or [])
    some = bool(changes) or bool(response.replaces)
    response.changes = provider_pb2.DiffResponse.DIFF_SOME if some else provider_pb2.DiffResponse.DIFF_NONE
    return response


def _failures(refusals: list[Refusal]) -> list[provider_pb2.CheckFailure]:
    return [provider_pb2.CheckFailure(property=refusal.property, reason=refusal.reason) for refusal in refusals]


def _abort(context: grpc.ServicerContext, message: str) -> NoReturn:
    context.abort(grpc.StatusCode.UNKNOWN, message)
    raise AssertionError("abort always raises")


def _abort_partially(context: grpc.ServicerContext, error: InitError) -> NoReturn:
    detail = provider_pb2.ErrorResourceInitFailed(
        id=error.id, properties=to_struct(error.properties), reasons=error.reasons
    )
    if error.inputs is not None:
        detail.inputs.CopyFrom(to_struct(error.inputs))
    packed = any_pb2.Any()
    packed.Pack(detail)
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=error.reasons[0], details=[packed])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    _abort(context, error.reasons[0])
