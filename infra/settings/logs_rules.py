"""Rules between the log shipper and those who read what it ships."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.settings.airflow import ElasticsearchTaskLogs

if TYPE_CHECKING:
    from infra.settings.environment import Settings


def log_problems(settings: "Settings") -> Iterator[str]:
    """Everything about shipped logs that can't work."""
    logs = settings.logs
    if logs is None:
        if settings.logs_password is not None:
            yield "logsPassword: is for the user of 'logs'. Leave it out"
        return
    if settings.logs_password is None:
        yield "logsPassword: 'logs' needs the password of its user. Add it, encrypted"
    readers = [airflow for airflow in settings.airflows if isinstance(airflow.task_logs, ElasticsearchTaskLogs)]
    if not readers and not logs.components:
        yield (
            "logs: ships the lines of tasks, and no Airflow reads them there. Give one taskLogs of kind "
            "'elasticsearch', or leave 'logs' out"
        )
    for airflow in readers:
        logs_of = airflow.task_logs
        if isinstance(logs_of, ElasticsearchTaskLogs) and logs_of.url.rstrip("/") != logs.url.rstrip("/"):
            yield (
                f"airflows.{airflow.name}.taskLogs.url: is another Elasticsearch than the one that 'logs' fills, "
                f"{logs.url}. Make them one"
            )
