"""Airflow's remote log of a task, as its standard output and an Elasticsearch hold it."""

import os
import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.configuration import conf

from airflow_platform_logs.identity import log_id
from airflow_platform_logs.lines import StdoutLines

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

PAGE = 1000
ADDED = frozenset(
    {"@timestamp", "kubernetes", "stream", "data_stream", "agent", "tag", "line_id", "ti_id", "dag_id", "task_id"}
)
"""What the platform and shippers add to a line, and a reader of the log need not see."""


class StdoutTaskLogs:
    """A RemoteLogIO: prints each event as it happens, uploads nothing at the end, reads all pages of the store."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.processors = (StdoutLines(folder),)

    def upload(self, path: os.PathLike[str] | str, ti: object = None) -> None:
        """Nothing is left to upload. The local copy goes where it is not wanted (`[logging] delete_local_logs`)."""
        file = Path(self.folder) / path
        if ti is not None and conf.getboolean("logging", "delete_local_logs") and file.is_file():
            shutil.rmtree(file.parent, ignore_errors=True)

    def read(self, relative_path: str, ti: object) -> tuple[list[str], list[str]]:
        """All lines of the log, for those who ask for no stream."""
        sources, streams = self.stream(relative_path, ti)
        return sources, [line for stream in streams for line in stream]

    def stream(self, relative_path: str, ti: object) -> tuple[list[str], list[Iterator[str]]]:
        """All lines that the store holds by now."""
        last = self.last_offset(relative_path) if ti is not None else None
        if last is None:
            return [], []
        return [self.source], [self.lines(relative_path, 0, last)]

    @property
    def source(self) -> str:
        """Where the lines come from, for people."""
        return f"Elasticsearch, {self._indices}"

    def last_offset(self, relative_path: str) -> int | None:
        """The offset of the newest line. None: there is none yet."""
        found = self._search(relative_path, sort=[_by_offset("desc")], size=1, source_includes=["offset"])
        return found[0]["_source"]["offset"] if found else None

    def lines(self, relative_path: str, after: int, last: int) -> Iterator[str]:
        """The lines behind the offset ``after`` up to ``last``, in order."""
        while after < last:
            bounds = [{"range": {"offset": {"gt": after, "lte": last}}}]
            page = self._search(relative_path, bounds, sort=[_by_offset("asc")], size=PAGE)
            for hit in page:
                after = hit["_source"]["offset"]
                # A store with templates of its own may take the id for words, and find others that hold the same ones.
                if hit["_source"]["log_id"] == log_id(relative_path):
                    kept = {key: value for key, value in hit["_source"].items() if key not in ADDED}
                    yield msgspec.json.encode(kept).decode()
            if len(page) < PAGE:
                return

    def _search(self, relative_path: str, more: list[dict[str, Any]] | None = None, **options: Any) -> list[Any]:
        wanted = log_id(relative_path)
        if wanted is None:
            return []
        query = {"bool": {"filter": [{"match_phrase": {"log_id": wanted}}, *(more or [])]}}
        # A team's stream appears with its first line.
        found = self._client.search(
            index=self._indices, query=query, ignore_unavailable=True, allow_no_indices=True, **options
        )
        return found["hits"]["hits"]

    @property
    def _indices(self) -> str:
        return conf.get_mandatory_value("elasticsearch", "index_patterns")

    @cached_property
    def _client(self) -> "Elasticsearch":
        # Late: a task's pod only writes, and need not load the client.
        from airflow.providers.elasticsearch._compat import apply_compat_with  # noqa: PLC0415
        from airflow.providers.elasticsearch.log.es_task_handler import get_es_kwargs_from_config  # noqa: PLC0415
        from elasticsearch import Elasticsearch  # noqa: PLC0415

        host = conf.get_mandatory_value("elasticsearch", "host")
        return apply_compat_with(Elasticsearch(host, **get_es_kwargs_from_config()))


def _by_offset(order: str) -> dict[str, Any]:
    # An index without a line yet does not know the field.
    return {"offset": {"order": order, "unmapped_type": "long"}}
