"""The guardrails as a program that Pulumi's engine asks about each resource before it is made: policy/pack starts it.

It speaks the engine's own protocol for policy packs (pulumi/analyzer.proto), so it needs no language host.
"""

import json
import sys
import threading
from concurrent import futures
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2

from policy.guardrails import GUARDRAILS, check
from policy.resource import Resource

NAME: Final = "airflow-platform"
VERSION: Final = "1.0.0"
_PROJECT: Final = "airflow-platform:"
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 (the protocol's marker, no secret)
_MESSAGE_BYTES: Final = 400 * 1024 * 1024


class Analyzer(analyzer_pb2_grpc.AnalyzerServicer):
    """Answers for one run of the engine."""

    def __init__(self) -> None:
        self._ephemeral = False
        self._leaving: list[str] = []
        self.ended = threading.Event()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 (gRPC's names)
        return plugin_pb2.PluginInfo(version=VERSION)

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return analyzer_pb2.AnalyzerHandshakeResponse()

    def GetAnalyzerInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return analyzer_pb2.AnalyzerInfo(
            name=NAME,
            displayName="Guardrails of the Airflow platform",
            version=VERSION,
            policies=[
                analyzer_pb2.PolicyInfo(
                    name=one.name,
                    displayName=one.name,
                    description=one.description,
                    enforcementLevel=analyzer_pb2.EnforcementLevel.MANDATORY,
                )
                for one in GUARDRAILS
            ],
        )

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return empty_pb2.Empty()

    def ConfigureStack(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._ephemeral = request.config.get(f"{_PROJECT}ephemeral", "false") == "true"
        airflows = json.loads(request.config.get(f"{_PROJECT}airflows") or "[]")
        self._leaving = [str(one.get("name")) for one in airflows if one.get("state") == "retired"]
        return analyzer_pb2.AnalyzerStackConfigureResponse()

    def Analyze(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        inputs = plain(json_format.MessageToDict(request.properties))
        resource = Resource(request.type, request.name, inputs, request.options.protect)
        described = {one.name: one.description for one in GUARDRAILS}
        return analyzer_pb2.AnalyzeResponse(
            diagnostics=[
                analyzer_pb2.AnalyzeDiagnostic(
                    policyName=found.policy,
                    policyPackName=NAME,
                    policyPackVersion=VERSION,
                    description=described[found.policy],
                    message=found.message,
                    urn=request.urn,
                    enforcementLevel=analyzer_pb2.EnforcementLevel.MANDATORY,
                )
                for found in check([resource], ephemeral=self._ephemeral, leaving=self._leaving)
            ]
        )

    def AnalyzeStack(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return analyzer_pb2.AnalyzeResponse()

    def Remediate(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return analyzer_pb2.RemediateResponse()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self.ended.set()
        return empty_pb2.Empty()


def plain(value: Any) -> Any:
    """What the protocol carries as plain values; a word in place of each secret."""
    if isinstance(value, dict):
        mark = value.get(_SIGNATURE)
        if mark == _SECRET:
            return "[secret]"
        if mark is not None:  # an output value, of which only what it holds is of interest
            return "[secret]" if value.get("secret") else plain(value.get("value"))
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def main() -> None:
    """Serve until the engine has had enough. The first line of the output is the port, as the engine expects it."""
    analyzer = Analyzer()
    limits = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=limits)
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(analyzer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    analyzer.ended.wait()
    server.stop(grace=1).wait()


if __name__ == "__main__":
    main()
