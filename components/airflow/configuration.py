"""airflow.cfg and the other files that an Airflow's pods mount: everything that is no secret."""

import configparser
import io
from pathlib import Path

import yaml

from components.airflow.args import AirflowArgs
from components.airflow.celery.configuration import celery_sections
from components.airflow.dags import DagParts
from components.airflow.operation_args import operation_sections
from components.airflow.task_logs import Sections

API_PORT = 8080
LARGE_XCOM_BYTES = 1024 * 1024
DEFAULT_POOL_SLOTS = 128
PARSING_PROCESSES = 2
"""Both are Airflow's own defaults, which stay unsaid."""
POOL_SIZE = 5
POOL_OVERFLOW = 3
"""Together the most connections of one process, as the connection budget counts them (infra/settings/sizes.py)."""
SCHEDULER_HEALTH_PORT = 8974
STATSD = "statsd"
STATSD_PORT = 9125
HOME = "/opt/airflow"
FILES_FOLDER = f"{HOME}/platform"
"""Where pods see the ConfigMap: as a folder, never file by file (by sub-path). A container that restarts after its
ConfigMap has changed can't mount a file of it any more and stays down (kubernetes/kubernetes#68211)."""
POD_TEMPLATE = f"{FILES_FOLDER}/pod-template.yaml"
CONFIG_FILE = f"{FILES_FOLDER}/airflow.cfg"
WEBSERVER_CONFIG = f"{FILES_FOLDER}/webserver_config.py"

FATAL_POD_STATES = (
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ImageInspectError",
    "InvalidImageName",
)

_FILES = Path(__file__).parent / "files"


def script(name: str) -> str:
    """The text of a file that is shipped into pods."""
    return (_FILES / name).read_text(encoding="utf-8")


def api_host(namespace: str) -> str:
    """Where the pods of an Airflow find its api-server."""
    return f"api-server.{namespace}.svc.cluster.local"


def airflow_cfg(name: str, namespace: str, args: AirflowArgs, dags: DagParts, log_sections: Sections) -> str:
    """The configuration file of the Airflow ``name``, for its components and its task pods."""
    # A base URL's path must be in the execution API's address too, or every task of a sub-path Airflow gets a 404.
    path = "/" + args.base_url.split("/", 3)[3] if args.base_url and args.base_url.count("/") > 2 else ""
    # Tasks that name no pool share one, which must not hold back what the executor may run.
    slots = args.parallelism
    processes = args.sizing.parsing_processes
    parsing = {"parsing_processes": str(processes)} if processes != PARSING_PROCESSES else {}
    sections: Sections = {
        "core": {
            "executor": ",".join(args.executors),
            "auth_manager": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
            "dags_folder": dags.folder,
            **({"plugins_folder": dags.plugins} if dags.plugins else {}),
            "load_examples": "False",
            # Airflow counts by scheduler; the setting is for all of them.
            "parallelism": str(args.parallelism // args.sizing.replicas.scheduler),
            **({"default_pool_task_slot_count": str(slots)} if slots > DEFAULT_POOL_SLOTS else {}),
            "execution_api_server_url": f"http://{api_host(namespace)}:{API_PORT}{path}/execution/",
            # Pod names resolve nowhere; addresses do, and components call one another (log servers) by them.
            "hostname_callable": "airflow.utils.net.get_host_ip_address",
        },
        "api": {
            "port": str(API_PORT),
            "workers": "1",
            "instance_name": f"{args.environment} / {name} ({dags.shown})",
            "expose_config": "False",
            **({"base_url": args.base_url} if args.base_url else {}),
        },
        "fab": {
            "config_file": WEBSERVER_CONFIG,
            "enable_proxy_fix": "True",
            **({"cookie_secure": "True"} if (args.base_url or "").startswith("https:") else {}),
        },
        "dag_processor": {**dags.options, **parsing},
        "scheduler": {
            "enable_health_check": "True",
            "scheduler_health_check_server_port": str(SCHEDULER_HEALTH_PORT),
        },
        "database": {
            # A process waits for one of its own connections to be free rather than be refused by the server.
            "sql_alchemy_pool_size": str(POOL_SIZE),
            "sql_alchemy_max_overflow": str(POOL_OVERFLOW),
        },
        "usage_data_collection": {"enabled": "False"},
    }
    if args.xcom_bucket:
        sections["core"]["xcom_backend"] = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
        sections["common.io"] = {
            "xcom_objectstorage_path": f"gs://{args.xcom_bucket}/xcoms/{name}",
            "xcom_objectstorage_threshold": str(LARGE_XCOM_BYTES),
            "xcom_objectstorage_compression": "gzip",
        }
    if args.celery:
        sections |= celery_sections(args.celery)
    if args.launches_pods:
        sections["kubernetes_executor"] = {
            "namespace": namespace,
            "pod_template_file": POD_TEMPLATE,
            # Logs outlive pods in every log store, so nothing is lost with a pod.
            "delete_worker_pods": "True",
            "delete_worker_pods_on_failure": "True",
            "worker_pods_creation_batch_size": "8",
            # Airflow's default also has ErrImagePull: one hiccup of a registry would fail a task at once.
            "worker_pod_pending_fatal_container_state_reasons": ",".join(FATAL_POD_STATES),
        }
    if args.metrics:
        sections["metrics"] = {
            "statsd_on": "True",
            "statsd_host": f"{STATSD}.{namespace}.svc.cluster.local",
            "statsd_port": str(STATSD_PORT),
            "statsd_prefix": "airflow",
        }
    for more in (log_sections, operation_sections(args.operation), args.customisation.config):
        for section, options in more.items():
            sections.setdefault(section, {}).update(options)
    return _ini(sections)


def _ini(sections: Sections) -> str:
    parser = configparser.RawConfigParser()
    # Airflow interpolates '%' in values from the file.
    parser.read_dict({s: {k: v.replace("%", "%%") for k, v in options.items()} for s, options in sections.items()})
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def to_yaml(described: object) -> str:
    """YAML with keys in the order given."""
    return yaml.safe_dump(described, sort_keys=False)
