"""What Elasticsearch is told once: how long lines are kept, how they are indexed, and who may do what.

https://www.elastic.co/docs/api/doc/elasticsearch/ (ilm-put-lifecycle, indices-put-index-template, security-put-role,
snapshot-create-repository, slm-put-lifecycle)
"""

from collections.abc import Mapping
from typing import Any, Final

from components.logs.store_args import Retention

LIFECYCLE: Final = "airflow-logs"
TEMPLATE: Final = "airflow-logs"
PATTERN: Final = "logs-airflow.*"
REPOSITORY: Final = "bucket"
SNAPSHOTS: Final = "nightly"
SHIPPER: Final = "fluentd"
EXPORTER: Final = "exporter"
VIEWER: Final = "viewer"
Body = Mapping[str, Any]


def lifecycle(retention: Retention) -> Body:
    """One index is written to until it is old or large enough; it goes when it has been closed for ``days``."""
    rollover = {"max_age": f"{retention.rollover_days}d", "max_primary_shard_size": f"{retention.rollover_gib}gb"}
    return {
        "policy": {
            "phases": {
                "hot": {"min_age": "0ms", "actions": {"rollover": rollover}},
                "delete": {"min_age": f"{retention.days}d", "actions": {"delete": {}}},
            }
        }
    }


def index_template(copies: int) -> Body:
    """Of task lines and of others. Authors log what they like: only fields that are known are indexed."""
    keyword, date, text = {"type": "keyword"}, {"type": "date"}, {"type": "text"}
    return {
        "index_patterns": [PATTERN],
        # Above Elasticsearch's own template for `logs-*-*`.
        "priority": 500,
        "data_stream": {},
        "template": {
            "settings": {
                # Elasticsearch 9 would sort what is in streams of such a name by host (`logsdb`).
                "index.mode": "standard",
                "index.lifecycle.name": LIFECYCLE,
                "index.number_of_shards": 1,
                "index.number_of_replicas": copies - 1,
                "index.codec": "best_compression",
                "index.mapping.ignore_malformed": True,
                # A node that is rolled is back before its shards are copied elsewhere.
                "index.unassigned.node_left.delayed_timeout": "5m",
            },
            "mappings": {
                "dynamic": False,
                "properties": {
                    "@timestamp": date,
                    "timestamp": date,
                    "log_id": keyword,
                    "dag_id": keyword,
                    "task_id": keyword,
                    "offset": {"type": "long"},
                    "event": text,
                    "message": text,
                    "level": keyword,
                    "logger": keyword,
                    "kubernetes": {"properties": {"pod_name": keyword, "container_name": keyword}},
                },
            },
        },
    }


def replicas(copies: int) -> Body:
    """For indices that are there already: a stack that has grown from one node to three."""
    return {"index": {"number_of_replicas": copies - 1}}


def reader_of(airflow: str) -> str:
    """The user that the Airflow reads its own tasks' lines as, and no others."""
    return f"airflow-{airflow}"


def reader_role_of(airflow: str) -> str:
    """The role of that user."""
    return f"airflow-reader-{airflow}"


SHIPPER_ROLE: Final = "airflow-shipper"
EXPORTER_ROLE: Final = "airflow-monitor"
VIEWER_ROLE: Final = "airflow-viewer"
SHIPPER_RIGHTS: Final[Body] = {
    # Its client asks once what it talks to.
    "cluster": ["cluster:monitor/main"],
    # Append: no change of what is there, no reading, no stream that the platform has not made.
    "indices": [{"names": [PATTERN], "privileges": ["create_doc"]}],
}
EXPORTER_RIGHTS: Final[Body] = {"cluster": ["monitor"]}
VIEWER_RIGHTS: Final[Body] = {"indices": [{"names": [PATTERN], "privileges": ["read", "view_index_metadata"]}]}


def reader_rights(airflow: str) -> Body:
    """What the Airflow's reader may: its own tasks' lines."""
    return {"indices": [{"names": [f"logs-airflow.task-{airflow}"], "privileges": ["read"]}]}


def repository(bucket: str) -> Body:
    """Where snapshots are kept. Without credentials the client asks the node's metadata server, which knows the pod."""
    return {"type": "gcs", "settings": {"bucket": bucket, "base_path": "elasticsearch"}}


def snapshot_policy(days: int) -> Body:
    """Every night at 01:30 UTC; at least five are kept however old they are."""
    return {
        "schedule": "0 30 1 * * ?",
        "name": "<logs-{now/d}>",
        "repository": REPOSITORY,
        "config": {"indices": [PATTERN], "include_global_state": False, "ignore_unavailable": True},
        "retention": {"expire_after": f"{days}d", "min_count": 5, "max_count": days + 5},
    }
