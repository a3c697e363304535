"""What Elasticsearch has and OpenSearch has not: kept in an index, so that every node knows it, and never run."""

import json
from typing import Any
from urllib.parse import quote

from messages import Answer, ElasticError, Node

INDEX = "stand-in-remembered"
_BODY = {
    "settings": {"index": {"number_of_shards": 1, "auto_expand_replicas": "0-all"}},
    "mappings": {"dynamic": False, "properties": {"kind": {"type": "keyword"}, "name": {"type": "keyword"}}},
}


class Remembered:
    """Bodies by kind and name, as whoever asks may read and write them."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def put(self, kind: str, name: str, value: Any) -> bool:
        """Keep ``value``; whether it is new."""
        self._need(self._node.ask("PUT", f"/{INDEX}", _BODY), 200, 400)  # 400: it is there
        document = {"kind": kind, "name": name, "body": json.dumps(value)}
        return self._need(self._node.ask("PUT", self._path(kind, name), document, "refresh=true"), 200, 201) == 201

    def get(self, kind: str, name: str) -> Any:
        """What was kept; None where nothing was."""
        found = self._node.ask("GET", self._path(kind, name))
        if self._need(found, 200, 404) == 404:
            return None
        return json.loads(found.json()["_source"]["body"])

    def delete(self, kind: str, name: str) -> bool:
        """Forget it; whether it was there."""
        return self._need(self._node.ask("DELETE", self._path(kind, name), query="refresh=true"), 200, 404) == 200

    def all(self, kind: str) -> dict[str, Any]:
        """Everything of a kind, by name."""
        query = {"size": 1000, "query": {"term": {"kind": kind}}}
        found = self._node.ask("POST", f"/{INDEX}/_search", query)
        if self._need(found, 200, 404) == 404:
            return {}
        hits = [hit["_source"] for hit in found.json()["hits"]["hits"]]
        return {hit["name"]: json.loads(hit["body"]) for hit in hits}

    @staticmethod
    def _path(kind: str, name: str) -> str:
        return f"/{INDEX}/_doc/{quote(f'{kind}:{name}', safe='')}"

    @staticmethod
    def _need(answer: Answer, *statuses: int) -> int:
        if answer.status not in statuses:
            text = answer.body.decode(errors="replace")[:500]
            raise ElasticError(answer.status, "security_exception" if answer.status == 403 else "exception", text)
        return answer.status
