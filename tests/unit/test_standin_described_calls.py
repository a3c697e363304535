"""What a described stand-in answers the engine: states, differences, deletions, functions."""

from typing import Any

import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2

from testbed.engine.combinations import Condition, Refused
from testbed.engine.described import DescribedStandIn
from testbed.engine.description import Autoname, Function, Input, Output, ResourceType, Rules
from testbed.engine.values import UNKNOWN, Properties, from_struct, to_struct
from tests.unit.standin_context import Aborted, Context

KIND = "made:up/thing:Thing"
URN = f"urn:pulumi:stack::project::{KIND}::Name"


class Made(DescribedStandIn):
    package = "made"
    version = "1"
    rules = Rules(
        source="s",
        config={"project": "p"},
        protected=(Refused(when={"policy": Condition.model_validate("KEEP")}, says="{id} stays.", mend="let it go."),),
        types={
            KIND: ResourceType(
                source="s",
                id="{name}",
                autoname=Autoname(property="name"),
                inputs={
                    "name": Input(type="string", required=True, replaces=True),
                    "policy": Input(type="string"),
                    "guard": Input(type="boolean", default=True),
                    "labels": Input(type="map", items=Input(type="string")),
                    "address": Input(type="string", computed=True),
                    "endpoints": Input(type="object", properties={"open": Input(type="boolean")}),
                    "login": Input(type="object", properties={"password": Input(type="string", secret=True)}),
                },
                outputs={
                    "seen": Output(value="{labels}"),
                    "address": Output(value="10.0.0.1"),
                    "endpoints.dns": Output(value="{name}.example"),
                },
                protected=(Refused(when={"guard": Condition.model_validate(True)}, says="guarded.", mend="unguard."),),
            )
        },
        functions={
            "made:up/look:look": Function(
                source="s",
                inputs={
                    "what": Input(type="string", required=True),
                    "project": Input(type="string", from_config="project"),
                },
                result={"found": "{project}/{what}"},
                refused=(
                    Refused(when={"what": Condition.model_validate("lost")}, says="not found.", mend="look again."),
                ),
            )
        },
    )

    def created(self, **inputs: Any) -> Properties:
        request = provider_pb2.CreateRequest(urn=URN, properties=to_struct({"name": "n", **inputs}))
        return from_struct(self.Create(request, Context()).properties)

    def updated(self, old: Properties, **inputs: Any) -> Properties:
        request = provider_pb2.UpdateRequest(urn=URN, olds=to_struct(old), news=to_struct({"name": "n", **inputs}))
        return from_struct(self.Update(request, Context()).properties)

    def deleted(self, **state: Any) -> None:
        self.Delete(provider_pb2.DeleteRequest(urn=URN, id="the-id", properties=to_struct(state)), Context())

    def replaced(self, old: Properties, new: Properties) -> provider_pb2.DiffResponse:
        request = provider_pb2.DiffRequest(urn=URN, old_inputs=to_struct(old), news=to_struct(new))
        return self.Diff(request, Context())

    def checked(self, inputs: Properties) -> provider_pb2.CheckResponse:
        request = provider_pb2.CheckRequest(
            urn=URN, news=to_struct(inputs), olds=struct_pb2.Struct(), randomSeed=b"seed"
        )
        return self.Check(request, Context())

    def called(self, token: str, **arguments: Any) -> provider_pb2.InvokeResponse:
        return self.Invoke(provider_pb2.InvokeRequest(tok=token, args=to_struct(arguments)), Context())


def test_the_state_shows_what_is_computed_beside_and_inside_the_inputs() -> None:
    state = Made().created(endpoints={"open": True})
    assert state["endpoints"] == {"open": True, "dns": "n.example"}
    assert state["address"] == "10.0.0.1"
    assert Made().created(address="10.9.9.9")["address"] == "10.9.9.9"


def test_a_preview_does_not_know_what_will_be_computed_inside_an_input() -> None:
    request = provider_pb2.CreateRequest(urn=URN, properties=to_struct({"name": "n"}), preview=True)
    state = from_struct(Made().Create(request, Context()).properties)
    assert state["endpoints"] == {"dns": UNKNOWN}
    assert state["address"] is UNKNOWN


def test_an_update_keeps_what_the_vendor_chose_and_follows_the_inputs_in_the_rest() -> None:
    old = {**Made().created(labels={"a": "1"}), "address": "10.5.5.5"}
    new = Made().updated(old, labels={"a": "2"}, endpoints={"open": True})
    assert new["seen"] == {"a": "2"}
    assert new["address"] == "10.5.5.5"
    assert new["endpoints"] == {"open": True, "dns": "n.example"}


def test_a_secret_inside_an_input_is_marked() -> None:
    response = Made().checked({"name": "n", "login": {"password": "swordfish"}})
    assert repr(from_struct(response.inputs)["login"]["password"]) == "Secret(…)"


def test_a_protected_state_is_not_deleted_and_says_what_to_do() -> None:
    with pytest.raises(Aborted, match=r"the-id is not deleted: guarded\. Mend: unguard\."):
        Made().deleted(name="n", guard=True)
    with pytest.raises(Aborted, match=r"the-id stays\. Mend: let it go\."):
        Made().deleted(name="n", guard=False, policy="KEEP")
    Made().deleted(name="n", guard=False)


def test_protection_holds_by_default_because_the_state_shows_defaults() -> None:
    with pytest.raises(Aborted, match="guarded"):
        Made().deleted(**Made().created())


def test_a_replacement_deletes_first_only_where_the_program_fixed_the_name() -> None:
    fixed = Made().replaced({"name": "n"}, {"name": "m"})
    assert (list(fixed.replaces), fixed.deleteBeforeReplace) == (["name"], False)
    rules = Made.rules.types[KIND].model_copy(update={"delete_first": True})
    always = type("Always", (Made,), {"rules": Made.rules.model_copy(update={"types": {KIND: rules}})})()
    assert always.replaced({"name": "n"}, {"name": "m"}).deleteBeforeReplace
    assert not always.replaced({"name": "n"}, {"name": "n", "guard": False}).deleteBeforeReplace


def test_a_kept_name_makes_a_replacement_delete_first_unless_it_was_made_up() -> None:
    kind = Made.rules.types[KIND]
    inputs = {**kind.inputs, "policy": Input(type="string", replaces=True)}
    types = {KIND: kind.model_copy(update={"inputs": inputs})}
    made = type("Strict", (Made,), {"rules": Made.rules.model_copy(update={"types": types})})()
    assert made.replaced({"name": "n", "policy": "a"}, {"name": "n", "policy": "b"}).deleteBeforeReplace
    again = from_struct(made.checked({"policy": "b"}).inputs)
    assert again["name"].startswith("name-")
    assert not made.replaced({**again, "policy": "a"}, again).deleteBeforeReplace


def test_a_name_that_was_made_up_is_noted_and_not_a_difference() -> None:
    inputs = from_struct(Made().checked({}).inputs)
    assert inputs["__defaults"] == ["name"]
    assert "__defaults" not in Made().created(**inputs)
    bare = {key: value for key, value in inputs.items() if key != "__defaults"}
    assert Made().replaced(bare, inputs).changes == provider_pb2.DiffResponse.DIFF_NONE


def test_a_function_answers_from_its_arguments() -> None:
    response = Made().called("made:up/look:look", what="it", project="p")
    assert from_struct(getattr(response, "return"))["found"] == "p/it"


def test_a_function_refuses_what_the_vendor_refuses() -> None:
    with pytest.raises(Aborted, match=r"not found\. Mend: look again\."):
        Made().called("made:up/look:look", what="lost")
    assert [failure.property for failure in Made().called("made:up/look:look", waht="it").failures] == ["waht", "what"]


def test_a_function_that_nobody_described_is_refused_with_the_mend() -> None:
    with pytest.raises(Aborted, match=r"made:up/other:other.*rules/made\.yaml"):
        Made().called("made:up/other:other")
