"""Which options of airflow.cfg may be set by hand: not what the platform must own, and nothing that is secret."""

import configparser
import re
from collections.abc import Iterator, Mapping

Sections = dict[str, dict[str, str]]

SECTION = re.compile(r"[a-z][a-z0-9_.-]*")
OPTION = re.compile(r"[a-z][a-z0-9_.-]*")
_LOGS = "say with taskLogs where task logs go"
_PROBES = "the probes and the Services of the platform rely on it"
OWNED: Mapping[tuple[str, str], str] = {
    ("core", "executor"): "use the setting executor",
    ("core", "parallelism"): "use the setting parallelism",
    ("core", "dags_folder"): "say with dags where DAGs come from",
    ("core", "auth_manager"): "sign-in is the platform's",
    ("core", "execution_api_server_url"): "use baseUrl, which it follows",
    ("core", "hostname_callable"): _PROBES,
    ("core", "fernet_key"): "it belongs under secrets, as fernetKey",
    ("api", "port"): _PROBES,
    ("api", "base_url"): "use the setting baseUrl",
    ("api", "expose_config"): "it would show secrets in the UI",
    ("api", "secret_key"): "it belongs under secrets, as apiSecretKey",
    ("api_auth", "jwt_secret"): "it belongs under secrets, as jwtSecret",
    ("fab", "config_file"): "sign-in is the platform's",
    ("fab", "enable_proxy_fix"): "sign-in is the platform's",
    ("fab", "cookie_secure"): "it follows the address: sign-in by https is by https only",
    ("core", "plugins_folder"): "say with dags where DAGs come from; plugins come with them",
    ("dag_processor", "dag_bundle_config_list"): "say with dags where DAGs come from",
    ("dag_processor", "dag_bundle_storage_path"): "say with dags where DAGs come from",
    ("dag_processor", "disable_bundle_versioning"): "say with dags where DAGs come from",
    ("secrets", "backend"): "use the setting secretsBackend",
    ("scheduler", "enable_health_check"): _PROBES,
    ("scheduler", "scheduler_health_check_server_port"): _PROBES,
    ("database", "sql_alchemy_conn"): "say with database where it is; a password belongs under secrets",
    ("database", "sql_alchemy_conn_async"): "say with database where it is; a password belongs under secrets",
    ("database", "sql_alchemy_pool_size"): "the database's connections are shared out by it",
    ("database", "sql_alchemy_max_overflow"): "the database's connections are shared out by it",
    ("kubernetes_executor", "namespace"): "it is the Airflow's own",
    ("kubernetes_executor", "multi_namespace_mode"): "an Airflow has one namespace",
    ("kubernetes_executor", "pod_template_file"): "use extra.task or taskShapes",
    ("kubernetes_executor", "worker_container_repository"): "use dags.repository, or taskShapes for some tasks",
    ("kubernetes_executor", "worker_container_tag"): "use dags.version, or taskShapes for some tasks",
    ("logging", "base_log_folder"): _LOGS,
    ("logging", "logging_config_class"): _LOGS,
    ("logging", "log_filename_template"): "the ids of lines in the log store are read from it",
    ("logging", "remote_logging"): _LOGS,
    ("logging", "remote_base_log_folder"): _LOGS,
    ("elasticsearch", "host"): _LOGS,
    ("elasticsearch", "index_patterns"): _LOGS,
    ("elasticsearch", "json_format"): _LOGS,
    ("elasticsearch", "write_stdout"): _LOGS,
    ("elasticsearch", "write_to_es"): _LOGS,
    ("elasticsearch", "es_compat_with"): _LOGS,
    ("elasticsearch", "frontend"): _LOGS,
    ("elasticsearch_configs", "ca_certs"): _LOGS,
}
"""Options that are the platform's, and what to do instead."""
DEFAULTS = frozenset(
    {
        ("core", "default_pool_task_slot_count"),
        ("core", "load_examples"),
        ("dag_processor", "parsing_processes"),
        ("core", "xcom_backend"),
        ("api", "workers"),
        ("api", "instance_name"),
        ("common.io", "xcom_objectstorage_path"),
        ("common.io", "xcom_objectstorage_threshold"),
        ("common.io", "xcom_objectstorage_compression"),
        ("elasticsearch_configs", "max_retries"),
        ("elasticsearch_configs", "request_timeout"),
        ("usage_data_collection", "enabled"),
        ("metrics", "statsd_on"),
        ("metrics", "statsd_host"),
        ("metrics", "statsd_port"),
        ("metrics", "statsd_prefix"),
        ("logging", "delete_local_logs"),
        ("kubernetes_executor", "delete_worker_pods"),
        ("kubernetes_executor", "delete_worker_pods_on_failure"),
        ("kubernetes_executor", "worker_pods_creation_batch_size"),
        ("kubernetes_executor", "worker_pod_pending_fatal_container_state_reasons"),
    }
)
"""Options that the platform sets and anybody may set otherwise."""
SENSITIVE = frozenset(
    {
        ("core", "asset_manager_kwargs"),
        ("database", "sql_alchemy_engine_args"),
        ("logging", "remote_task_handler_kwargs"),
        ("secrets", "backend_kwargs"),
        ("workers", "secrets_backend_kwargs"),
        ("sentry", "sentry_dsn"),
        ("celery", "broker_url"),
        ("celery", "result_backend"),
        ("celery", "flower_basic_auth"),
        ("celery_broker_transport_options", "sentinel_kwargs"),
        ("celery_result_backend_transport_options", "sentinel_kwargs"),
    }
)
"""Those that config.yml of Airflow 3.3.2 and its providers call sensitive and whose name does not give them away."""
SECRET_NAME = re.compile(
    r"(^|[_.-])(password|passwd|passphrase|secret|secret_key|secretkey|token|credentials?|private_key|api_key|apikey|"
    r"access_key|fernet_key|basic_auth)$",
    re.IGNORECASE,
)
LOGIN_IN_URL = re.compile(r"://[^/\s@]*:[^/\s@]+@")
FROM_ELSEWHERE = re.compile(r"_(cmd|secret)$")
"""Airflow reads ``<option>_cmd`` and ``<option>_secret`` in place of a sensitive option."""


def looks_secret(name: str, value: str) -> bool:
    """Whether a name, or a login in a URL, says that ``value`` is a secret."""
    return bool(SECRET_NAME.search(name) or LOGIN_IN_URL.search(value))


def why_not(section: str, option: str) -> str | None:
    """Why an option is the platform's own; None where it is not."""
    return OWNED.get((section, option)) or OWNED.get((section, FROM_ELSEWHERE.sub("", option)))


def is_secret(section: str, option: str, value: str) -> bool:
    """Whether an option's value belongs under ``secrets``."""
    return (section, option) in SENSITIVE or looks_secret(option, value)


def secret_variable(section: str, option: str) -> str:
    """The environment variable that sets an option."""
    return f"AIRFLOW__{section}__{option}".upper().replace(".", "_")


def configuration_problems(name: str, config: Sections, cfg: str | None) -> list[str]:
    """What is wrong with the options that the Airflow ``name`` is given by hand."""
    where = f"airflows.{name}.extra.config"
    problems: list[str] = []
    for section, options in config.items():
        if not SECTION.fullmatch(section):
            problems.append(
                f"{where}: '{section}' is no section of airflow.cfg. Write it in lower case, as 'scheduler'"
            )
            continue
        for option, value in options.items():
            if not OPTION.fullmatch(option):
                problems.append(f"{where}.{section}: '{option}' is no option of airflow.cfg. Write it in lower case")
            elif reason := why_not(section, option):
                problems.append(f"{where}.{section}.{option}: is the platform's own: {reason}. Leave it out")
            elif is_secret(section, option, value):
                problems.append(_secret_problem(f"{where}.{section}.{option}", name, section, option))
    if cfg is not None:
        problems += _file_problems(name, cfg)
    return problems


def _secret_problem(where: str, name: str, section: str, option: str) -> str:
    variable = secret_variable(section, option)
    return (
        f"{where}: looks like a secret, and airflow.cfg is no place for one. It belongs under secrets: take it out, "
        f"set secrets.{name}.env.{variable}, and write {variable}: {{ kind: secret }} under "
        f"airflows.{name}.extra.components.envFrom"
    )


def _file_problems(name: str, text: str) -> Iterator[str]:
    where = f"airflows.{name}.extra.airflowCfg"
    try:
        sections = read(text)
    except configparser.InterpolationError as error:
        yield f"{where}: [{error.section}] {error.option} has a single '%'. Write '%%'"
        return
    except configparser.DuplicateOptionError as error:
        yield f"{where}: [{error.section}] {error.option} stands there twice. Remove one"
        return
    except configparser.DuplicateSectionError as error:
        yield f"{where}: the section [{error.section}] stands there twice. Put its options together"
        return
    except configparser.MissingSectionHeaderError as error:
        yield f"{where}: is no airflow.cfg: line {error.lineno} stands before the first [section]. Correct it"
        return
    except configparser.ParsingError as error:
        lines = ", ".join(str(number) for number, _ in error.errors)
        yield f"{where}: is no airflow.cfg: line {lines} is neither a [section] nor an 'option = value'. Correct it"
        return
    for section, options in sections.items():
        for option, value in options.items():
            # One that is the platform's is not taken over: only what it holds must not stay in a stack file.
            if value and is_secret(section, option, value):
                yield _secret_problem(f"{where} [{section}] {option}", name, section, option)


def read(text: str) -> Sections:
    """The options of an airflow.cfg as Airflow reads them. Raises configparser.Error."""
    parser = configparser.ConfigParser(default_section="")
    parser.read_string(text)
    return {section: dict(parser.items(section)) for section in parser.sections()}


def merged(config: Sections, cfg: str | None) -> tuple[Sections, list[str]]:
    """What is taken over into airflow.cfg, and the options of ``cfg`` that are not, as ``section.option``."""
    sections: Sections = {}
    left_out: list[str] = []
    for section, options in read(cfg or "").items():
        for option, value in options.items():
            if why_not(section, option):
                left_out.append(f"{section}.{option}")
            else:
                sections.setdefault(section, {})[option] = value
    for section, options in config.items():
        sections.setdefault(section, {}).update(options)
    return sections, left_out
