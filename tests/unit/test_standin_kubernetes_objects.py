"""How the Kubernetes stand-in treats objects: normal forms, replacement rules, secrets, drift."""

import base64
import json

import pytest

from testbed.engine.kubernetes import configuration, objects
from testbed.engine.kubernetes.ownership import without_ignored
from testbed.engine.kubernetes.rules import matches, replacing_paths, rules
from testbed.engine.values import UNKNOWN, Properties, Secret, plain, to_struct


def obj(api_version: str, kind: str, **rest: object) -> Properties:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "n", "namespace": "ns"}, **rest}


def replaced(kind: Properties, path: tuple[str | int, ...], value: object = "x", mutable: bool = True) -> bool:
    patterns = replacing_paths(kind, config_maps_mutable=mutable, secrets_mutable=mutable)
    return any(matches(pattern, path, value) for pattern in patterns)


@pytest.mark.parametrize(
    ("api_version", "kind", "path", "expected"),
    [
        ("batch/v1", "Job", ("spec", "template", "spec", "containers", 0, "image"), True),
        ("batch/v1", "Job", ("spec", "backoffLimit"), False),
        ("apps/v1", "Deployment", ("spec", "template", "spec", "containers", 0, "image"), False),
        ("apps/v1", "Deployment", ("spec", "selector", "matchLabels", "app"), True),
        ("apps/v1", "StatefulSet", ("spec", "serviceName"), True),
        ("apps/v1", "StatefulSet", ("spec", "replicas"), False),
        ("apps/v1", "StatefulSet", ("spec", "volumeClaimTemplates", 0, "spec"), True),
        ("v1", "PersistentVolumeClaim", ("spec", "storageClassName"), True),
        ("v1", "PersistentVolumeClaim", ("spec", "resources", "requests", "storage"), False),
        ("v1", "Service", ("spec", "clusterIP"), True),
        ("v1", "Service", ("spec", "ports", 0, "port"), False),
        ("v1", "Pod", ("spec", "containers", 1, "env", 0, "value"), True),
        ("v1", "Pod", ("spec", "containers", 1, "name"), False),
        ("v1", "ConfigMap", ("metadata", "name"), True),
        ("v1", "ConfigMap", ("metadata", "namespace"), True),
        ("v1", "ConfigMap", ("metadata", "labels", "a"), False),
        ("v1", "Secret", ("type",), True),
        ("rbac.authorization.k8s.io/v1", "RoleBinding", ("roleRef", "name"), True),
        ("rbac.authorization.k8s.io/v1", "Role", ("rules", 0), False),
        ("example.com/v1", "Thing", ("spec",), False),
    ],
)
def test_the_fields_that_replace_an_object_are_pulumi_kubernetess(
    api_version: str, kind: str, path: tuple[str | int, ...], expected: bool
) -> None:
    assert replaced(obj(api_version, kind), path) is expected


def test_adding_a_branch_that_holds_a_replacing_field_replaces() -> None:
    assert replaced(obj("v1", "Service"), ("spec",), {"clusterIP": "None"})
    assert not replaced(obj("v1", "Service"), ("spec",), {"type": "ClusterIP"})


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_data_replaces_unless_the_provider_says_mutable(kind: str) -> None:
    assert replaced(obj("v1", kind), ("data", "a"), mutable=False)
    assert not replaced(obj("v1", kind), ("data", "a"), mutable=True)


def test_data_of_an_immutable_object_always_replaces() -> None:
    assert replaced(obj("v1", "ConfigMap", immutable=True), ("data", "a"), mutable=True)


def test_the_rules_name_their_source_and_the_real_timeouts() -> None:
    assert "pulumi-kubernetes" in rules().source
    assert rules().timeout("apps/v1/Deployment") == 600
    assert rules().timeout("v1/PersistentVolumeClaim") == 300


def test_a_missing_name_is_made_from_the_resources_and_kept() -> None:
    first = objects.assign_name({"apiVersion": "v1", "kind": "ConfigMap"}, {}, "Settings", b"")
    name = first["metadata"]["name"]
    assert name.startswith("settings-")
    assert objects.annotation(first, objects.AUTONAMED) == "true"
    again = objects.assign_name({"apiVersion": "v1", "kind": "ConfigMap"}, first, "Settings", b"other")
    assert again["metadata"]["name"] == name


def test_a_given_or_unknown_name_is_left_alone() -> None:
    for name in ("mine", UNKNOWN):
        given = {"metadata": {"name": name}}
        assert objects.assign_name(given, {}, "settings", b"") == given


def test_string_data_becomes_data_and_stays_secret() -> None:
    made = objects.normalized(obj("v1", "Secret", data={"a": "eA=="}, stringData={"b": "päss"}))
    assert made["data"] == Secret({"a": "eA==", "b": base64.b64encode("päss".encode()).decode()})
    assert "stringData" not in made


def test_an_unknown_in_a_secret_keeps_both_forms_secret() -> None:
    made = objects.normalized(obj("v1", "Secret", data={"a": "eA=="}, stringData={"b": UNKNOWN}))
    assert made["stringData"] == Secret({"b": UNKNOWN})
    assert made["data"] == Secret({"a": "eA=="})


def test_what_is_sent_has_neither_nulls_nor_bookkeeping() -> None:
    sent = objects.manifest(
        obj("v1", "ConfigMap", data={"a": Secret("x"), "b": None}, status={}, __inputs={"c": 1}, immutable=None)
    )
    assert sent == obj("v1", "ConfigMap", data={"a": "x"})


def test_no_secret_is_in_clear_in_what_goes_into_the_state() -> None:
    inputs = obj("v1", "Secret", data=Secret({"p": "c3dvcmRmaXNo"}))
    live = json.loads(json.dumps(plain(inputs)))
    live["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": '{"p":"c3dvcmRmaXNo"}'}
    live["metadata"]["managedFields"] = [{"manager": "m"}]
    state = objects.state(inputs, live, "pulumi-kubernetes-1")
    assert isinstance(state["data"], Secret)
    assert "c3dvcmRmaXNo" not in repr(state)
    assert "managedFields" not in state["metadata"]
    assert state["__fieldManager"] == "pulumi-kubernetes-1"


def test_a_secret_in_a_containers_environment_is_secret_in_the_outputs_too() -> None:
    def deployment(value: object) -> Properties:
        containers = [{"name": "c", "env": [{"name": "P", "value": value}]}]
        return obj("apps/v1", "Deployment", spec={"replicas": 1, "template": {"spec": {"containers": containers}}})

    state = objects.state(deployment(Secret("swordfish")), deployment("swordfish"), "m")
    assert isinstance(state["spec"]["template"]["spec"]["containers"], Secret)
    assert state["spec"]["replicas"] == 1
    assert "swordfish" not in repr({key: value for key, value in state.items() if not isinstance(value, Secret)})
    to_struct(state)


def test_a_read_shows_drift_in_the_programs_fields_only() -> None:
    inputs = {"data": {"a": "1", "gone": "2"}, "spec": {"replicas": 2}}
    live = {"data": {"a": "changed", "new": "3"}, "spec": {"replicas": 2, "defaulted": True}, "status": {}}
    assert objects.inputs_from_live(inputs, live) == {"data": {"a": "changed"}, "spec": {"replicas": 2}}


@pytest.mark.parametrize(
    ("mine", "servers"), [("1000m", "1"), (0.5, "500m"), ("1024Mi", "1Gi"), (1, "1"), ("1e3", "1k")]
)
def test_a_quantity_that_the_server_writes_otherwise_is_no_drift(mine: object, servers: str) -> None:
    inputs = {"resources": {"requests": {"cpu": mine}}}
    assert objects.inputs_from_live(inputs, {"resources": {"requests": {"cpu": servers}}}) == inputs


def test_a_changed_quantity_is_drift() -> None:
    assert objects.inputs_from_live({"limits": {"cpu": "1"}}, {"limits": {"cpu": "2"}}) == {"limits": {"cpu": "2"}}


def test_an_empty_value_that_the_server_leaves_out_is_no_drift() -> None:
    inputs = {"env": [{"name": "E", "value": ""}], "emptyDir": {}, "paused": False}
    assert objects.inputs_from_live(inputs, {"env": [{"name": "E"}]}) == inputs


def test_a_sidecar_that_someone_injected_is_not_the_programs() -> None:
    inputs = {"containers": [{"name": "a", "image": "1"}]}
    live = {"containers": [{"name": "proxy"}, {"name": "a", "image": "2"}]}
    assert objects.inputs_from_live(inputs, live) == {"containers": [{"name": "a", "image": "2"}]}


def test_an_ignored_field_of_another_manager_is_not_sent() -> None:
    live = {
        "spec": {"replicas": 5, "paused": True},
        "metadata": {
            "managedFields": [
                {"manager": "us", "fieldsV1": {"f:spec": {"f:paused": {}}}},
                {"manager": "autoscaler", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            ]
        },
    }
    body = {"spec": {"replicas": 2, "paused": False}}
    made = without_ignored(body, live, "us", [("spec", "replicas"), ("spec", "paused")])
    assert made == {"spec": {"paused": True}}


def kubeconfig(server: str) -> str:
    return json.dumps(
        {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": server}}],
        }
    )


def test_another_cluster_replaces_everything_unless_an_identifier_stays() -> None:
    old, new = {"kubeconfig": kubeconfig("https://a")}, {"kubeconfig": kubeconfig("https://b")}
    assert configuration.diff(old, new) == (["kubeconfig"], ["kubeconfig"])
    same = {"clusterIdentifier": "one"}
    assert configuration.diff({**old, **same}, {**new, **same}) == (["kubeconfig"], [])
    assert configuration.diff({**new, **same}, {**new, "clusterIdentifier": "two"})[1] == ["clusterIdentifier"]


def test_other_credentials_for_the_same_cluster_replace_nothing() -> None:
    old = {"kubeconfig": kubeconfig("https://a")}
    new = {"kubeconfig": json.dumps({**json.loads(old["kubeconfig"]), "users": []})}
    assert configuration.diff(old, new) == (["kubeconfig"], [])


def test_a_kubeconfig_that_is_not_known_yet_counts_as_another_cluster() -> None:
    assert configuration.diff({"kubeconfig": kubeconfig("https://a")}, {"kubeconfig": UNKNOWN})[1] == ["kubeconfig"]


def test_a_setting_that_the_stand_in_does_not_have_is_refused() -> None:
    assert [wrong.property for wrong in configuration.check({"renderYamlToDirectory": "x", "context": "c"})] == [
        "renderYamlToDirectory"
    ]
