"""What the UI and the API read task logs with."""

from itertools import chain
from typing import Any
from urllib.parse import quote

from airflow.configuration import conf
from airflow.logging_config import get_remote_task_log
from airflow.utils.log.file_task_handler import FileTaskHandler, StructuredLogMessage, _log_stream_to_parsed_log_stream
from airflow.utils.log.logging_mixin import ExternalLoggingMixin
from airflow.utils.state import TaskInstanceState

from airflow_platform_logs.identity import log_id

GROUP = "Log message source details"


class StoredTaskHandler(FileTaskHandler, ExternalLoggingMixin):
    """Reads a task's log from the store; before its first lines are there, from its pod or worker, as Airflow does.

    Never from both: Airflow's way to merge them shows lines twice when several share a millisecond.
    """

    def _read(self, ti: Any, try_number: int, metadata: Any = None) -> tuple[Any, Any]:
        path = self._render_filename(ti, try_number)
        store = get_remote_task_log()
        seen = (metadata or {}).get("offset", 0)
        try:
            last = store.last_offset(path)
        except Exception as error:  # whatever the client, the network or the store says
            said = f"Elasticsearch can't be read: {type(error).__name__}. Shown is what the pod or the worker still has"
            shown, known = super()._read(ti, try_number, metadata)
            return chain([StructuredLogMessage(event=said, level="error")], shown), known
        if last is None:
            return super()._read(ti, try_number, metadata)
        going_on = ti.try_number == try_number and ti.state in (TaskInstanceState.RUNNING, TaskInstanceState.DEFERRED)
        header = [f"::group::{GROUP}", store.source, "::endgroup::"] if not seen else []
        lines = (message for _, _, message in _log_stream_to_parsed_log_stream(store.lines(path, seen, last)))
        return chain((StructuredLogMessage(event=event) for event in header), lines), {
            "end_of_log": not going_on,
            "offset": max(seen, last),
        }

    def _read_remote_logs(self, ti: Any, try_number: int, metadata: Any = None) -> tuple[list[str], list[Any]]:
        """For Airflow's own way of reading, which is asked only where the store has nothing."""
        return [], []

    @property
    def log_name(self) -> str:
        """What the UI calls the link."""
        return "Kibana"

    def get_external_log_url(self, task_instance: Any, try_number: int) -> str:
        """`[elasticsearch] frontend` with the log's id in it."""
        wanted = log_id(self._render_filename(task_instance, try_number)) or ""
        return conf.get_mandatory_value("elasticsearch", "frontend").format(log_id=quote(wanted, safe=""))

    @property
    def supports_external_link(self) -> bool:
        """Whether there is a Kibana to link to."""
        return "{log_id}" in conf.get("elasticsearch", "frontend", fallback="")
