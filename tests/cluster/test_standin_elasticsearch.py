"""The stand-in for Elasticsearch answers as Elasticsearch does, as far as the platform asks, and refuses the rest."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from testbed.progress import Progress
from tests.cluster.looks import wait_until
from tests.cluster.store_alone import StoreAlone
from tests.cluster.store_client import Reply

pytestmark = pytest.mark.cluster
STREAM = "logs-airflow.task-main"
OTHER = "logs-airflow.task-other"
SHIPPER = {
    "cluster": ["cluster:monitor/main"],
    "indices": [{"names": ["logs-airflow.*"], "privileges": ["create_doc"]}],
}
READER = {"indices": [{"names": [STREAM], "privileges": ["read"]}]}
LOGINS = {"fluentd": "append-Only-and-5-more", "airflow-main": "read-Only-and-5-more"}
POLICY = {
    "policy": {
        "phases": {
            "hot": {"actions": {"rollover": {"max_age": "1d", "max_primary_shard_size": "5gb"}}},
            "delete": {"min_age": "14d", "actions": {"delete": {}}},
        }
    }
}
TEMPLATE = {
    "index_patterns": ["logs-airflow.*"],
    "priority": 500,
    "data_stream": {},
    "template": {
        "settings": {"index.lifecycle.name": "airflow-logs", "index.number_of_replicas": 0},
        "mappings": {
            "dynamic": False,
            "properties": {
                "log_id": {"type": "keyword"},
                "offset": {"type": "long"},
                "event": {"type": "text"},
                "logger": {"type": "keyword"},
            },
        },
    },
}


@pytest.fixture(scope="module")
def store(progress: Progress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreAlone]:
    """One node with TLS, a template, two streams, and the platform's two kinds of users."""
    made = StoreAlone(tmp_path_factory.mktemp("store"), progress)
    try:
        made.start()
        made.do("PUT", "/_ilm/policy/airflow-logs", POLICY)
        made.do("PUT", "/_index_template/airflow-logs", TEMPLATE)
        for stream in (STREAM, OTHER):
            made.do("PUT", f"/_data_stream/{stream}")
        for role, user, body in (("shipper", "fluentd", SHIPPER), ("reader", "airflow-main", READER)):
            made.do("PUT", f"/_security/role/{role}", body)
            made.do("PUT", f"/_security/user/{user}", {"password": LOGINS[user], "roles": [role], "full_name": "x"})
        yield made
    finally:
        made.remove()


def bulk(store: StoreAlone, *lines: Mapping[str, Any], user: str = "fluentd", index: str = STREAM) -> list[Any]:
    """What becomes of lines that are sent with their ids, each with its status and error."""
    text = "".join(
        json.dumps({"create": {"_index": index, "_id": str(line["offset"])}})
        + "\n"
        + json.dumps({"@timestamp": "2026-01-01T00:00:00Z", **line})
        + "\n"
        for line in lines
    )
    reply = store.ask(
        *("POST", "/_bulk", text),
        user=user,
        password=LOGINS[user],
        headers={"Content-Type": "application/vnd.elasticsearch+x-ndjson; compatible-with=8"},
    )
    return [item["create"] for item in reply.body["items"]] if reply.status == 200 else [reply]


def offsets(store: StoreAlone, stream: str = STREAM, user: str = "elastic") -> list[int] | Reply:
    """The lines of a stream, as an Airflow asks for them."""
    body = {"query": {"match_all": {}}, "sort": [{"offset": {"order": "asc", "unmapped_type": "long"}}], "size": 1000}
    store.do("POST", f"/{stream}/_refresh")
    login = {} if user == "elastic" else {"user": user, "password": LOGINS[user]}
    path = f"/{stream}/_search?ignore_unavailable=true&allow_no_indices=true"
    reply = store.ask("POST", path, body, **login)
    return [hit["_source"]["offset"] for hit in reply.body["hits"]["hits"]] if reply.status == 200 else reply


def test_it_says_what_it_is_and_lets_nobody_in_without_the_right_password(store: StoreAlone) -> None:
    about = store.ask("GET", "/")
    assert about.status == 200
    assert about.body["tagline"] == "You Know, for Search"
    assert about.headers["X-Elastic-Product"] == "Elasticsearch"
    nobody = store.ask("GET", "/", user=None)
    assert (nobody.status, nobody.error) == (401, "security_exception")
    assert nobody.headers["X-Elastic-Product"] == "Elasticsearch"
    assert store.ask("GET", "/", password="wrong").status == 401
    assert store.ask("GET", "/", user="fluentd", password="wrong").status == 401
    assert store.ask("GET", "/", user="fluentd", password=LOGINS["fluentd"]).status == 200


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/json", 200),
        ("application/vnd.elasticsearch+json; compatible-with=8", 200),
        ("application/vnd.elasticsearch+json;compatible-with=9", 200),
        ("application/vnd.elasticsearch+json; compatible-with=7", 400),
        ("text/xml", 406),
    ],
)
def test_clients_of_this_major_version_and_the_one_before_are_understood(
    store: StoreAlone, media_type: str, status: int
) -> None:
    reply = store.ask("POST", "/_search", {"size": 0}, headers={"Content-Type": media_type, "Accept": media_type})
    assert reply.status == status, reply
    if status == 200:
        assert reply.headers["Content-Type"].replace(" ", "") == media_type.replace(" ", "")


def test_a_line_that_is_sent_twice_is_there_once_and_over_a_rollover_all_are_found(store: StoreAlone) -> None:
    lines = [{"offset": number, "log_id": "d-t-r--1-1", "event": f"line {number}"} for number in range(1, 4)]
    assert [item["status"] for item in bulk(store, *lines)] == [201, 201, 201]
    assert [item["status"] for item in bulk(store, *lines)] == [409, 409, 409]
    store.do("POST", f"/{STREAM}/_rollover")
    assert [item["status"] for item in bulk(store, {"offset": 4, "log_id": "d-t-r--1-1"})] == [201]
    (stream,) = store.do("GET", f"/_data_stream/{STREAM}")["data_streams"]
    assert len(stream["indices"]) == 2
    assert offsets(store) == [1, 2, 3, 4]


def test_what_does_not_fit_the_mapping_is_refused_by_elasticsearchs_name_and_the_rest_is_stored(
    store: StoreAlone,
) -> None:
    refused, stored = bulk(store, {"offset": 10, "logger": {"an": "object"}}, {"offset": 11}, index=OTHER)
    assert (refused["status"], refused["error"]["type"]) == (400, "document_parsing_exception")
    assert stored["status"] == 201


def test_the_shipper_may_append_and_no_more(store: StoreAlone) -> None:
    login = {"user": "fluentd", "password": LOGINS["fluentd"]}
    overwrite = json.dumps({"index": {"_index": STREAM, "_id": "1"}}) + '\n{"@timestamp":"2026-01-01T00:00:00Z"}\n'
    (item,) = store.ask("POST", "/_bulk", overwrite, **login).body["items"]
    assert item["index"]["status"] in (400, 403), item
    for method, path, body in (
        ("POST", f"/{STREAM}/_search", {"size": 1}),
        ("POST", f"/{STREAM}/_delete_by_query", {"query": {"match_all": {}}}),
        ("DELETE", f"/_data_stream/{STREAM}", None),
        ("GET", f"/{STREAM}/_mapping", None),
        ("PUT", "/_security/role/shipper", READER),
        ("PUT", "/_index_template/airflow-logs", TEMPLATE),
    ):
        assert store.ask(method, path, body, **login).status == 403, (method, path)
    (item,) = bulk(store, {"offset": 1}, index="others")
    assert getattr(item, "status", None) == 403 or item["status"] == 403, item


def test_an_airflow_reads_its_own_stream_and_no_other_and_writes_none(store: StoreAlone) -> None:
    found = offsets(store, user="airflow-main")
    assert isinstance(found, list)
    other = offsets(store, OTHER, user="airflow-main")
    assert isinstance(other, Reply)
    assert other.status == 403
    (item,) = bulk(store, {"offset": 5}, user="airflow-main")
    assert getattr(item, "status", None) == 403 or item["status"] == 403, item


def test_a_role_a_user_and_a_policy_are_found_as_they_were_put_and_go(store: StoreAlone) -> None:
    assert store.do("GET", "/_security/role/shipper") == {"shipper": SHIPPER}
    assert store.do("GET", "/_security/user/fluentd")["fluentd"]["roles"] == ["shipper"]
    assert store.do("GET", "/_ilm/policy/airflow-logs")["airflow-logs"]["policy"] == POLICY["policy"]
    (template,) = store.do("GET", "/_index_template/airflow-logs")["index_templates"]
    assert template["index_template"]["template"]["settings"]["index"]["lifecycle"] == {"name": "airflow-logs"}
    store.do("PUT", "/_security/user/retired", {"password": "soon-Gone-and-5-more", "roles": ["reader"]})
    assert store.ask("DELETE", "/_security/user/retired").body == {"found": True}
    assert store.ask("DELETE", "/_security/user/retired").status == 404
    assert store.ask("GET", "/", user="retired", password="soon-Gone-and-5-more").status == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/_ml/anomaly_detectors", None, 501),
        ("PUT", "/_security/role/more", {"cluster": ["manage_ml"]}, 501),
        ("PUT", "/_security/role/more", {"applications": []}, 501),
        ("PUT", "/_ilm/policy/more", {"policy": {"phases": {"hotter": {"actions": {}}}}}, 400),
        ("PUT", "/_index_template/more", {**TEMPLATE, "template": {"lifecycle": {}}}, 501),
        ("GET", "/_data_stream/no-such-stream", None, 404),
    ],
)
def test_what_it_does_not_know_or_does_not_have_is_refused(
    store: StoreAlone, method: str, path: str, body: Any, status: int
) -> None:
    reply = store.ask(method, path, body)
    assert reply.status == status, reply
    assert reply.error


def test_a_full_disk_blocks_writing_until_there_is_room(store: StoreAlone) -> None:
    marks = ("low", "high", "flood_stage")
    setting = "cluster.routing.allocation.disk.watermark"

    def watermarks(value: str | None) -> None:
        body = {**{f"{setting}.{mark}": value for mark in marks}, "cluster.info.update.interval": "10s"}
        store.do("PUT", "/_cluster/settings", {"persistent": body})

    def status() -> int:
        (item,) = bulk(store, {"offset": 20}, index=OTHER)
        return int(item["status"])

    watermarks("100000gb")
    try:
        wait_until(lambda: status() == 429, 60, "the full node takes no line")
    finally:
        watermarks(None)
    wait_until(lambda: status() in (201, 409), 60, "the node takes lines again")


def test_lines_and_users_outlive_the_nodes_end(store: StoreAlone) -> None:
    with store.away():
        assert store.ask("GET", "/").status == 0
    assert offsets(store) == [1, 2, 3, 4]
    assert [item["status"] for item in bulk(store, {"offset": 4})] == [409]
