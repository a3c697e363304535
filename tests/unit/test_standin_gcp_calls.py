"""What the gcp stand-in answers: states, what cannot be deleted, what a registry holds; and that it asks nobody."""

import re
import socket
from typing import Any, NoReturn

import pytest
from pulumi.runtime.proto import provider_pb2

from testbed.engine.gcp import GcpStandIn
from testbed.engine.values import Properties, from_struct, to_struct
from tests.unit.gcp_examples import CLUSTER, GOOD, INSTANCE, good_cluster, good_instance
from tests.unit.standin_context import Aborted, Context

IMAGE = "gcp:artifactregistry/getDockerImage:getDockerImage"


def delete(token: str, **state: Any) -> None:
    request = provider_pb2.DeleteRequest(urn=f"urn:pulumi:s::p::{token}::n", id="it", properties=to_struct(state))
    GcpStandIn().Delete(request, Context())


def created(token: str, inputs: Properties) -> Properties:
    request = provider_pb2.CreateRequest(urn=f"urn:pulumi:s::p::{token}::n", properties=to_struct(inputs))
    return from_struct(GcpStandIn().Create(request, Context()).properties)


@pytest.mark.parametrize("token", [CLUSTER, INSTANCE])
def test_a_cluster_and_a_database_are_protected_unless_the_program_says_otherwise(token: str) -> None:
    with pytest.raises(Aborted, match=r"deletion_protection is set to true.*Mend: set deletionProtection to false"):
        delete(token, **created(token, GOOD[token]))
    delete(token, **created(token, {**GOOD[token], "deletionProtection": False}))


def test_the_protection_in_the_api_also_holds() -> None:
    inputs = good_instance({"deletionProtectionEnabled": True}, deletionProtection=False)
    with pytest.raises(Aborted, match=r"settings\.deletionProtectionEnabled to false"):
        delete(INSTANCE, **created(INSTANCE, inputs))


def test_anything_may_be_kept_by_its_deletion_policy_and_abandoned_by_it() -> None:
    with pytest.raises(Aborted, match='deletion_policy="DELETE"'):
        delete("gcp:compute/network:Network", name="n", deletionPolicy="PREVENT")
    delete(CLUSTER, name="n", deletionProtection=True, deletionPolicy="ABANDON")


def test_a_key_is_only_forgotten_and_that_is_said() -> None:
    for token in ("gcp:kms/keyRing:KeyRing", "gcp:kms/cryptoKey:CryptoKey"):
        assert "cannot be deleted" in GcpStandIn().described(token).on_delete
        delete(token, name="n")


def asked(**arguments: Any) -> Properties:
    given = {"location": "eu", "repositoryId": "r", "project": "p", **arguments}
    request = provider_pb2.InvokeRequest(tok=IMAGE, args=to_struct(given))
    return from_struct(getattr(GcpStandIn().Invoke(request, Context()), "return"))


def test_an_image_is_found_by_its_digest_and_by_its_tag() -> None:
    digest = "sha256:" + "0" * 64
    assert asked(imageName=f"airflow@{digest}")["selfLink"] == f"eu-docker.pkg.dev/p/r/airflow@{digest}"
    assert re.fullmatch(r"eu-docker.pkg.dev/p/r/airflow@sha256:[0-9a-f]{64}", asked(imageName="airflow:v1")["selfLink"])


def test_an_image_that_was_never_pushed_is_not_found() -> None:
    with pytest.raises(Aborted, match="Requested image was not found"):
        asked(imageName="airflow@sha256:dead" + "0" * 60)


def test_the_address_of_the_control_plane_is_known_although_the_program_says_nothing_of_it() -> None:
    state = created(CLUSTER, good_cluster())
    assert state["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["endpoint"].endswith(".europe-west1.gke.goog")
    assert state["controlPlaneEndpointsConfig"]["ipEndpointsConfig"] == {"enabled": False}
    assert (
        "dnsEndpointConfig"
        in created(CLUSTER, good_cluster(controlPlaneEndpointsConfig=None))["controlPlaneEndpointsConfig"]
    )


def test_nothing_is_ever_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> NoReturn:
        raise AssertionError("a connection was opened")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)
    for token, inputs in GOOD.items():
        assert created(token, inputs)
    assert asked(imageName="airflow:v1")
