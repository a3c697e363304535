"""The workload builder: what every pod gets, and checksums that give nothing away."""

from hypothesis import given
from hypothesis import strategies as st
from pulumi_kubernetes import _tables

from components.airflow.secrets import connection_url, database_of, role_of
from components.workload import Container, Mount, Pod, Resources, manifest, pod_spec, scratch

SIZE = Resources(cpu="1", memory="1Gi", cpu_limit="2", memory_limit="2Gi")


def example() -> Pod:
    volume = Mount({"name": "a", "empty_dir": {}}, "/a")
    containers = [Container("x", "image", SIZE, mounts=[volume, scratch("tmp", "/tmp")]) for _ in range(2)]
    return Pod({"app": "x"}, "account", containers, user=1000, group=1000)


def test_a_volume_mounted_twice_is_declared_once() -> None:
    names = [volume["name"] for volume in manifest(pod_spec(example()))["volumes"]]
    assert names == ["a", "tmp"]


def test_every_pod_meets_the_restricted_pod_security_standard() -> None:
    spec = manifest(pod_spec(example()))
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_no_pod_gets_a_token_for_the_kubernetes_api_unless_it_asks() -> None:
    assert manifest(pod_spec(example()))["automountServiceAccountToken"] is False


def test_manifest_keeps_the_keys_of_labels_as_they_are() -> None:
    made = manifest({"metadata": {"labels": {"my_label": "x"}}, "run_as_user": 1})
    assert made == {"metadata": {"labels": {"my_label": "x"}}, "runAsUser": 1}


@given(st.sampled_from(sorted(_tables.SNAKE_TO_CAMEL_CASE_TABLE)))
def test_manifest_translates_every_key_that_the_sdk_knows(key: str) -> None:
    assert manifest({key: 1}) == {_tables.SNAKE_TO_CAMEL_CASE_TABLE[key]: 1}


@given(password=st.text(min_size=1))
def test_a_connection_url_carries_any_password(password: str) -> None:
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(connection_url("role", password, "host", 5432, "database"))
    assert unquote(parts.password or "", errors="surrogatepass") == password
    assert (parts.hostname, parts.port, parts.path) == ("host", 5432, "/database")
    assert "$" not in parts.netloc  # Airflow would expand it


@given(st.lists(st.from_regex(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True), min_size=2, unique=True))
def test_two_airflows_never_share_a_role_or_a_database(names: list[str]) -> None:
    assert len({role_of(name) for name in names}) == len(names)
    assert all(len(database_of(name)) <= 63 for name in names)  # PostgreSQL cuts longer names off
