"""Settings of the shipper that takes containers' lines to an Elasticsearch."""

from typing import Annotated

from pydantic import Field, StringConstraints

from infra.settings.base import SettingsModel


class Logs(SettingsModel):
    """fluentd on every node. What it fills is read by Airflows with ``taskLogs`` of kind ``elasticsearch``."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^@\s/]+(/[^@\s]*)?$")]
    """Scheme, host and port of an Elasticsearch that is there."""
    user: Annotated[str, StringConstraints(min_length=1)] = "fluentd"
    """One that may append to ``logs-airflow.*`` and no more; its password is ``logsPassword``."""
    buffer_mib: Annotated[int, Field(ge=64, le=102400)] = 1024
    """The most that waits on each node while the store is away, for task lines and for the others each."""
    components: bool = False
    """Whether what is no task's line is shipped as well. Cloud Logging has these lines on Google Cloud already."""
