"""Apache Airflow 3 on Kubernetes."""

from components.airflow.access import COMPONENT_ACCOUNTS
from components.airflow.airflow import Airflow
from components.airflow.args import (
    AirflowArgs,
    BackupVolume,
    DagImage,
    DatabaseServer,
    Executor,
    GivenSecrets,
    Identity,
    Rotations,
    SharedServer,
)
from components.airflow.database import bootstrap_account
from components.airflow.task_logs import ElasticsearchLogs, GcsLogs, TaskLogStore, VolumeLogs
from components.airflow.task_pod import SERVICE_ACCOUNT as TASK_ACCOUNT

__all__ = [
    "COMPONENT_ACCOUNTS",
    "TASK_ACCOUNT",
    "Airflow",
    "AirflowArgs",
    "BackupVolume",
    "DagImage",
    "DatabaseServer",
    "ElasticsearchLogs",
    "Executor",
    "GcsLogs",
    "GivenSecrets",
    "Identity",
    "Rotations",
    "SharedServer",
    "TaskLogStore",
    "VolumeLogs",
    "bootstrap_account",
]
