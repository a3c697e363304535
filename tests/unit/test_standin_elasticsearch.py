"""How the testbed's stand-in for Elasticsearch takes its configuration: what it does not know, it refuses."""

import base64
import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from components.logs.bootstrap import Login, store_plan
from components.logs.elasticsearch import elasticsearch_yml
from components.logs.store_args import LogStoreArgs, Retention
from components.versions import IMAGES
from testbed.images import REPO
from testbed.images.recipes import ELASTICSEARCH

FILES = ("key", "certificate", "certificate_authorities")
TOLD = {
    "cluster.name": "logs",
    "node.name": "${POD_NAME}",
    "network.host": "0.0.0.0",
    "discovery.seed_hosts": ["nodes"],
    "cluster.initial_master_nodes": ["es-0"],
    "node.roles": ["master", "data_hot", "data_content"],
    "node.store.allow_mmap": False,
    "ingest.geoip.downloader.enabled": False,
    "xpack.ml.enabled": False,
    "xpack.security.enabled": True,
    "xpack.security.enrollment.enabled": False,
    "xpack.security.transport.ssl.verification_mode": "certificate",
    **{f"xpack.security.{way}.ssl.enabled": True for way in ("transport", "http")},
    **{f"xpack.security.{way}.ssl.{file}": f"certs/{file}" for way in ("transport", "http") for file in FILES},
}
ENVIRONMENT = {"POD_NAME": "es-0", "ES_JAVA_OPTS": "-Xmx300m"}


MODULES = ("configuration", "door", "elastic", "lifecycle", "messages", "remembered", "security")


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The stand-in's own modules, which run in the image."""
    monkeypatch.syspath_prepend(REPO / "testbed/images/elasticsearch")
    monkeypatch.setenv("ELASTICSEARCH_VERSION", "9.5.3")
    yield {name: importlib.import_module(name) for name in MODULES}
    for name in MODULES:
        sys.modules.pop(name)


@pytest.fixture
def stand_in(modules: dict[str, Any]) -> Any:
    """What reads the configuration."""
    return modules["configuration"]


def folder(path: Path, told: Mapping[str, Any]) -> Path:
    (path / "certs").mkdir()
    for file in FILES:
        (path / "certs" / file).write_text("PEM")
    (path / "elasticsearch.yml").write_text(json.dumps(told))
    return path


def test_opensearch_gets_what_elasticsearch_was_told(stand_in: Any, tmp_path: Path) -> None:
    found = stand_in.configuration(folder(tmp_path, TOLD), ENVIRONMENT)
    node = found.node
    assert node["node.name"] == "es-0"
    assert node["cluster.initial_cluster_manager_nodes"] == ["es-0"]
    assert node["node.roles"] == ["cluster_manager", "data"]
    assert node["http.host"] == "127.0.0.1"
    assert node["plugins.security.ssl.transport.enforce_hostname_verification"] is False
    assert not [name for name in node if name.startswith(("xpack.", "ingest.", "cluster.initial_master"))]
    assert (found.port, found.http.key) == (9200, tmp_path / "certs/key")
    options = stand_in.java_options(tmp_path, ENVIRONMENT)
    assert "-Xmx300m" in options
    assert "-XX:MaxRAMPercentage=50" not in options


def test_everything_that_it_can_not_do_is_named_at_once(stand_in: Any, tmp_path: Path) -> None:
    told = {
        **TOLD,
        "xpack.security.enabled": False,
        "xpack.watcher.enabled": True,
        "node.roles": ["ml"],
        "xpack.security.transport.ssl.key": "certs/none",
    }
    with pytest.raises(stand_in.RefusedError) as refused:
        stand_in.configuration(folder(tmp_path, told), ENVIRONMENT)
    lines = str(refused.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        *("xpack.security.enabled", "xpack.watcher.enabled", "node.roles", "xpack.security.transport.ssl.key"),
    ]


def test_a_variable_that_is_not_there_is_named(stand_in: Any, tmp_path: Path) -> None:
    with pytest.raises(stand_in.RefusedError, match="POD_NAME"):
        stand_in.configuration(folder(tmp_path, TOLD), {})


def test_a_setting_may_come_as_a_variable_as_the_image_takes_it(stand_in: Any, tmp_path: Path) -> None:
    found = stand_in.configuration(folder(tmp_path, TOLD), {**ENVIRONMENT, "cluster.name": "other"})
    assert found.node["cluster.name"] == "other"


def test_it_says_that_it_is_the_version_that_the_platform_pins() -> None:
    assert ELASTICSEARCH.arguments["ELASTICSEARCH_VERSION"] == IMAGES["elasticsearch"].tag


def test_each_file_that_it_is_made_of_has_a_checksum() -> None:
    lines = (ELASTICSEARCH.folder / "jars.lock").read_text().splitlines()
    names = [line.split("  ")[1] for line in lines]
    assert any(name.startswith("opensearch-2.19") for name in names)
    assert any(name.startswith("opensearch-security-2.19") for name in names)
    assert all(len(line.split("  ")[0]) == 64 for line in lines)


class Node:
    """Takes everything, and keeps it; ``status`` is what it answers."""

    def __init__(self, modules: dict[str, Any], status: int = 200) -> None:
        self.answer = modules["messages"].Answer(status, b"{}")
        self.asked: list[tuple[str, str, Any]] = []

    def ask(self, method: str, path: str, body: Any = b"", query: str = "", headers: Any = None) -> Any:
        self.asked.append((method, path, json.loads(body) if isinstance(body, bytes) and body else body))
        return self.answer


def ask(modules: dict[str, Any], node: Node, method: str, path: str, body: Any = None) -> Any:
    data = b"" if body is None else json.dumps(body).encode()
    request = modules["messages"].Request(method, path, "", {}, data)
    return modules["elastic"].Elasticsearch(node).answer(request)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/_ml/anomaly_detectors"),
        ("POST", "/_security/api_key"),
        ("POST", "/_plugins/_security/api/roles/x"),
        ("GET", "/a/b/c"),
        ("PATCH", "/_security/user/x"),
    ],
)
def test_what_it_does_not_know_is_refused_and_never_reaches_the_node(
    modules: dict[str, Any], method: str, path: str
) -> None:
    node = Node(modules)
    answer = ask(modules, node, method, path)
    assert answer.status == 501
    assert path in answer.json()["error"]["reason"]
    assert node.asked == []


def test_a_lifecycle_never_reaches_the_node_and_is_remembered(modules: dict[str, Any]) -> None:
    node = Node(modules)
    lifecycle = {"index": {"lifecycle": {"name": "airflow-logs"}, "codec": "best_compression", "mode": "standard"}}
    settings = {**lifecycle, "number_of_shards": 1}
    assert ask(modules, node, "PUT", "/_index_template/x", {"template": {"settings": settings}}).ok
    (put, _, kept) = node.asked
    assert put[2]["template"]["settings"] == {"index.codec": "best_compression", "index.number_of_shards": 1}
    assert json.loads(kept[2]["body"]) == {"index.lifecycle.name": "airflow-logs", "index.mode": "standard"}


def test_a_role_that_appends_gets_no_right_to_read_change_or_delete(modules: dict[str, Any]) -> None:
    node = Node(modules)
    body = {"cluster": ["cluster:monitor/main"], "indices": [{"names": ["logs-*"], "privileges": ["create_doc"]}]}
    assert ask(modules, node, "PUT", "/_security/role/shipper", body).json() == {"role": {"created": False}}
    method, path, role = node.asked[0]
    assert (method, path) == ("PUT", "/_plugins/_security/api/roles/shipper")
    assert role == {
        "cluster_permissions": ["cluster:monitor/main", "indices:data/write/bulk"],
        "index_permissions": [
            {"index_patterns": ["logs-*"], "allowed_actions": ["indices:data/write/bulk*", "indices:data/write/index"]}
        ],
        "tenant_permissions": [],
    }


@pytest.mark.parametrize(
    "body",
    [
        {"cluster": ["manage_ml"]},
        {"indices": [{"names": ["x"], "privileges": ["manage_follow_index"]}]},
        {"indices": [{"names": ["x"], "privileges": ["read"], "field_security": {"grant": ["a"]}}]},
        {"run_as": ["x"]},
    ],
)
def test_a_role_that_can_not_be_translated_whole_is_refused(modules: dict[str, Any], body: Any) -> None:
    node = Node(modules)
    assert ask(modules, node, "PUT", "/_security/role/x", body).status == 501
    assert node.asked == []


@pytest.mark.parametrize(
    "phases",
    [
        {"hot": {"actions": {"rollover": {"max_ages": "1d"}}}},
        {"hot": {"actions": {"rollover": {"min_age": "1d"}}}},
        {"hot": {"actions": {"rollover": {"max_primary_shard_size": "5 gigabytes"}}}},
        {"hot": {"actions": {"delete": {}}}},
        {"deleted": {"actions": {"delete": {}}}},
        {"delete": {"min_age": "a fortnight", "actions": {"delete": {}}}},
    ],
)
def test_a_policy_that_elasticsearch_would_refuse_is_refused(modules: dict[str, Any], phases: Any) -> None:
    node = Node(modules)
    assert ask(modules, node, "PUT", "/_ilm/policy/x", {"policy": {"phases": phases}}).status == 400
    assert node.asked == []


@pytest.mark.parametrize(
    ("header", "major", "status"),
    [
        (None, None, 200),
        ("*/*", None, 200),
        ("application/json; charset=utf-8", None, 200),
        ("application/vnd.elasticsearch+x-ndjson; compatible-with=8", "8", 200),
        ("application/vnd.elasticsearch+json;compatible-with=9, text/plain", "9", 200),
        ("application/vnd.elasticsearch+json;compatible-with=10", None, 400),
        ("application/yaml", None, 406),
    ],
)
def test_media_types_are_understood_or_refused_as_elasticsearch_does(
    modules: dict[str, Any], header: str | None, major: str | None, status: int
) -> None:
    compatible = modules["door"].compatible
    if status == 200:
        assert compatible(header, "Accept") == major
        return
    with pytest.raises(modules["messages"].ElasticError) as refused:
        compatible(header, "Accept")
    assert refused.value.status == status


def test_the_superusers_password_is_checked_at_the_door_and_others_by_the_node(modules: dict[str, Any]) -> None:
    messages = modules["messages"]

    def basic(login: str) -> str:
        return "Basic " + base64.b64encode(login.encode()).decode()

    assert messages.authorization(None, "p:w") is None
    assert messages.authorization(basic("fluentd:x"), "p:w") == basic("fluentd:x")
    assert messages.authorization(basic("elastic:p:w"), "p:w") == basic(f"elastic:{messages.NODE_PASSWORD}")
    for wrong in (basic("elastic:other"), basic(f"elastic:{messages.NODE_PASSWORD}"), "ApiKey abc", "Basic !"):
        with pytest.raises(messages.ElasticError):
            messages.authorization(wrong, "p:w")


def platforms_own() -> LogStoreArgs:
    """An Elasticsearch as the platform makes one, with all that a machine of one's own can have of it."""
    return LogStoreArgs(
        image="elasticsearch:1",
        checksum_key=cast(Any, None),
        readers=["main", "other"],
        retired=["former"],
        retention=Retention(14, 2, 2),
        components=True,
        exporter_image="exporter:1",
    )


def test_it_takes_the_configuration_that_the_platform_gives_to_elasticsearch(stand_in: Any, tmp_path: Path) -> None:
    certs = folder(tmp_path, {}) / "certs"
    for file in ("tls.key", "tls.crt", "ca.crt"):
        (certs / file).write_text("PEM")
    (tmp_path / "elasticsearch.yml").write_text(elasticsearch_yml(platforms_own()))
    found = stand_in.configuration(tmp_path, {"POD_NAME": "elasticsearch-0"})
    assert found.http.certificate == certs / "tls.crt"
    assert found.node["cluster.initial_cluster_manager_nodes"] == ["elasticsearch-0"]


def test_it_understands_every_request_of_the_platforms_bootstrap(modules: dict[str, Any]) -> None:
    logins = [Login("fluentd", cast(Any, None), ["airflow-shipper"], "appends")]
    plan = store_plan(platforms_own(), logins)
    lines = [line.split() for line in plan["plan"].splitlines()]
    assert len(lines) > 8
    user = {"password": "secret", "roles": ["airflow-shipper"], "full_name": "appends"}
    for verb, path, *file in lines:
        body = json.loads(plan.get(file[0], json.dumps(user))) if file else None
        method = {"MAKE": "PUT", "DROP": "DELETE"}.get(verb, verb)
        answer = ask(modules, Node(modules), method, path, body)
        assert answer.status == 200, (verb, path, answer.body)
