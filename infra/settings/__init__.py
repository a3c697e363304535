"""A stack's configuration as one frozen, typed object, checked whole before anything is created."""

from infra.settings.airflow import (
    AirflowSettings,
    AirflowState,
    ElasticsearchTaskLogs,
    GcsTaskLogs,
    ProvidedSecrets,
    Rotations,
    VolumeTaskLogs,
)
from infra.settings.cloud_rules import organisation_of, own_network
from infra.settings.cluster import GkeCluster, KubeconfigCluster, NodePool, TaskPool
from infra.settings.dags import ImageDags
from infra.settings.database import CloudSqlDatabase, ExistingDatabase, InClusterDatabase
from infra.settings.dev_stacks import DevStack, DevStacks, StackCluster, StackDatabase
from infra.settings.environment import Settings
from infra.settings.executors import Executor
from infra.settings.google import ExistingNetwork, Google, OwnNetwork
from infra.settings.ingress import Ingress
from infra.settings.load import PROJECT, SettingsError, load, parse
from infra.settings.organisation import OrganisationStack

__all__ = [
    "PROJECT",
    "AirflowSettings",
    "AirflowState",
    "CloudSqlDatabase",
    "DevStack",
    "DevStacks",
    "ElasticsearchTaskLogs",
    "Executor",
    "ExistingDatabase",
    "ExistingNetwork",
    "GcsTaskLogs",
    "GkeCluster",
    "Google",
    "ImageDags",
    "InClusterDatabase",
    "Ingress",
    "KubeconfigCluster",
    "NodePool",
    "OrganisationStack",
    "OwnNetwork",
    "ProvidedSecrets",
    "Rotations",
    "Settings",
    "SettingsError",
    "StackCluster",
    "StackDatabase",
    "TaskPool",
    "VolumeTaskLogs",
    "load",
    "organisation_of",
    "own_network",
    "parse",
]
