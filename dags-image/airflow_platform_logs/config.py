"""What `[logging] logging_config_class` names: Airflow's own logging, with task logs written and read by this package.

`[logging] remote_logging` stays off: it would have Airflow ask for an Elasticsearch host in every task's pod, which
writes to its standard output and knows of none.
"""

import copy

from airflow.config_templates.airflow_local_settings import BASE_LOG_FOLDER, DEFAULT_LOGGING_CONFIG

from airflow_platform_logs.remote import StdoutTaskLogs

LOGGING_CONFIG = copy.deepcopy(DEFAULT_LOGGING_CONFIG)
LOGGING_CONFIG["handlers"]["task"]["class"] = "airflow_platform_logs.handler.StoredTaskHandler"

REMOTE_TASK_LOG = StdoutTaskLogs(BASE_LOG_FOLDER)
