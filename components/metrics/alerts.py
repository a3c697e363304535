"""What is wrong, said by figures: every alert with its rule, how bad it is and who has to know.

``airflow`` is the label that alerts are routed by; those without it are the platform's own. Every alert has a page in
docs/runbooks, of its name. Counters are asked for their rate, never for their age or their sum: they begin anew when
what shows them does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

from components.ingress.certificates import SECRET as TLS
from components.ingress.configuration import NAMESPACE as INGRESS

RUNBOOKS = "docs/runbooks"
SERIES_WARNING = 0.8
"""Of the most series that a pod may have."""


class Severity(StrEnum):
    """``page``: somebody gets up. ``warning``: in working hours."""

    PAGE = "page"
    WARNING = "warning"


@dataclass(frozen=True)
class Alert:
    """One rule. ``lasts`` is how long its condition must hold (``5m``); ``needs``: what shows the metrics that it asks
    for, with a space between several of which one is enough.
    """

    name: str
    expression: str
    lasts: str
    severity: Severity
    summary: str
    needs: str = "statsd"


ALERTS: tuple[Alert, ...] = (
    Alert(
        "AirflowSchedulerDown",
        "sum by (airflow) (rate(airflow_scheduler_heartbeat[90s])) == 0",
        "0s",
        Severity.PAGE,
        "No scheduler of Airflow {{ $labels.airflow }} has given a sign of life for 90 seconds: no task starts",
    ),
    Alert(
        "AirflowSchedulerNeverSeen",
        'max by (airflow) (up{component="statsd"} == 1) unless on (airflow) airflow_scheduler_heartbeat',
        "5m",
        Severity.PAGE,
        "The metrics of Airflow {{ $labels.airflow }} are taken, and no scheduler has sent any",
    ),
    Alert(
        "AirflowDagProcessorDown",
        "sum by (airflow) (rate(airflow_dag_processor_heartbeat[3m])) == 0",
        "2m",
        Severity.PAGE,
        "No dag-processor of Airflow {{ $labels.airflow }} has given a sign of life for 5 minutes: DAGs grow old",
    ),
    Alert(
        "AirflowTriggererDown",
        "sum by (airflow) (rate(airflow_triggerer_heartbeat[3m])) == 0",
        "2m",
        Severity.PAGE,
        "No triggerer of Airflow {{ $labels.airflow }} has given a sign of life for 5 minutes: deferred tasks wait",
    ),
    Alert(
        "AirflowExecutorFull",
        "max by (airflow, executor) (airflow_executor_open_slots) <= 0",
        "15m",
        Severity.WARNING,
        "The {{ $labels.executor }} of Airflow {{ $labels.airflow }} has had no free slot for 15 minutes",
    ),
    Alert(
        "AirflowTasksNotStarting",
        # An executor calls running what waits in a broker or for a node; a pool does not.
        "sum by (airflow) (airflow_pool_queued_slots) > 0 and sum by (airflow) (airflow_pool_running_slots) == 0",
        "10m",
        Severity.PAGE,
        "Tasks of Airflow {{ $labels.airflow }} have been queued for 10 minutes, and none runs",
    ),
    Alert(
        "AirflowImportErrors",
        "max by (airflow) (airflow_dag_processing_import_errors) > 0",
        "10m",
        Severity.WARNING,
        "{{ $value }} DAG files of Airflow {{ $labels.airflow }} can't be imported",
    ),
    Alert(
        "AirflowTasksFailing",
        "sum by (airflow) (increase(airflow_ti_failures[30m])) "
        "/ (sum by (airflow) (increase(airflow_ti_failures[30m])) "
        "+ sum by (airflow) (increase(airflow_ti_successes[30m]))) > 0.1 "
        "and sum by (airflow) (increase(airflow_ti_failures[30m])) > 5",
        "15m",
        Severity.WARNING,
        "{{ $value | humanizePercentage }} of the tasks of Airflow {{ $labels.airflow }} have failed in half an hour",
    ),
    Alert(
        "AirflowScheduleDelayed",
        'max by (airflow) (airflow_dagrun_schedule_delay{quantile="0.9"}) > 300',
        "10m",
        Severity.WARNING,
        "DAG runs of Airflow {{ $labels.airflow }} begin {{ $value | humanizeDuration }} late",
    ),
    Alert(
        "AirflowDagsNotSynced",
        'sum by (airflow, pod) (increase(git_sync_count_total{status=~"success|noop"}[15m])) == 0',
        "5m",
        Severity.WARNING,
        "git-sync in {{ $labels.pod }} of Airflow {{ $labels.airflow }} has not fetched for 20 minutes: DAGs are old",
        "git-sync",
    ),
    Alert(
        "DatabaseConnectionsHigh",
        # Without PgBouncer only Cloud SQL's proxies know, and only the platform the most that its role may hold.
        "(sum by (airflow) (pgbouncer_databases_current_connections) "
        "/ sum by (airflow) (pgbouncer_databases_max_connections > 0) "
        "or sum by (airflow) (cloudsqlconn_open_connections) "
        "/ max by (airflow) (airflow_platform_database_connections_limit)) > 0.8",
        "10m",
        Severity.WARNING,
        "Airflow {{ $labels.airflow }} uses {{ $value | humanizePercentage }} of its database connections",
        "pgbouncer cloud-sql-proxy",
    ),
    Alert(
        "DatabaseClientsWaiting",
        "max by (airflow) (pgbouncer_pools_client_maxwait_seconds) > 30",
        "2m",
        Severity.PAGE,
        "Parts of Airflow {{ $labels.airflow }} have waited {{ $value }} seconds for a database connection",
        "pgbouncer",
    ),
    Alert(
        "BrokerFillingUp",
        "max by (airflow, pod) (redis_memory_used_bytes / (redis_memory_max_bytes > 0) "
        "or rabbitmq_process_resident_memory_bytes / (rabbitmq_resident_memory_limit_bytes > 0)) > 0.8",
        "5m",
        Severity.PAGE,
        "{{ $labels.pod }} of Airflow {{ $labels.airflow }} uses {{ $value | humanizePercentage }} of its memory: "
        "when it is full it takes no task",
        "redis rabbitmq",
    ),
    Alert(
        "VolumeFillingUp",
        # Where Google collects, only the namespace says whose it is.
        "label_replace(kubelet_volume_stats_available_bytes / kubelet_volume_stats_capacity_bytes < 0.15, "
        '"airflow", "$1", "namespace", "airflow-(.+)")',
        "15m",
        Severity.WARNING,
        "The volume {{ $labels.persistentvolumeclaim }} in {{ $labels.namespace }} has "
        "{{ $value | humanizePercentage }} left",
        "kubelet",
    ),
    Alert(
        "ElasticsearchRed",
        'max by (cluster) (elasticsearch_cluster_health_status{color="red"}) == 1',
        "2m",
        Severity.PAGE,
        "Elasticsearch {{ $labels.cluster }} is red: some logs can be neither written nor read",
        "elasticsearch",
    ),
    Alert(
        "LogsBehind",
        "min by (namespace, pod) (fluentd_output_status_buffer_available_space_ratio) < 20",
        "10m",
        Severity.WARNING,
        "The log buffer of {{ $labels.pod }} is {{ $value }}% free: logs arrive late, and will be lost when it is full",
        "fluentd",
    ),
    Alert(
        "CertificateExpires",
        "min by (namespace, name) (certmanager_certificate_expiration_timestamp_seconds "
        "or airflow_platform_certificate_expiration_timestamp_seconds) - time() < 14 * 86400",
        "1h",
        Severity.WARNING,
        "The certificate {{ $labels.name }} in {{ $labels.namespace }} has {{ $value | humanizeDuration }} left",
        "cert-manager",
    ),
    Alert(
        "UpkeepNotRunning",
        "(time() - max by (airflow, namespace, cronjob) "
        "(kube_cronjob_status_last_successful_time or kube_cronjob_created)) > 2 * 86400 "
        "unless max by (airflow, namespace, cronjob) (kube_cronjob_spec_suspend) == 1",
        "1h",
        Severity.WARNING,
        "{{ $labels.namespace }}/{{ $labels.cronjob }} has not succeeded for {{ $value | humanizeDuration }}",
        "kube-state-metrics",
    ),
    Alert(
        "BackupNotTaken",
        "time() - max by (namespace, cronjob) "
        '(kube_cronjob_status_last_successful_time{cronjob="check-backups"} or '
        'kube_cronjob_created{cronjob="check-backups"}) > 86400',
        "0s",
        Severity.PAGE,
        "For {{ $value | humanizeDuration }} nobody has found a backup of the database that is young enough",
        "kube-state-metrics",
    ),
    Alert(
        "PodCrashLooping",
        "sum by (airflow, namespace, pod, container) (increase(kube_pod_container_status_restarts_total[15m])) > 3 "
        "or max by (airflow, namespace, pod, container) "
        '(kube_pod_container_status_waiting_reason{reason="CrashLoopBackOff"}) == 1',
        "5m",
        Severity.PAGE,
        "{{ $labels.container }} in {{ $labels.namespace }}/{{ $labels.pod }} ends again and again",
        "kube-state-metrics",
    ),
    Alert(
        "QuotaNearLimit",
        'sum by (airflow, namespace, resource) (kube_resourcequota{type="used"}) '
        '/ sum by (airflow, namespace, resource) (kube_resourcequota{type="hard"} > 0) > 0.9',
        "10m",
        Severity.WARNING,
        "{{ $labels.namespace }} uses {{ $value | humanizePercentage }} of its {{ $labels.resource }}",
        "kube-state-metrics",
    ),
    Alert(
        "MetricsTargetDown",
        "max by (airflow, namespace, pod, container, job) (up) == 0",
        "5m",
        Severity.WARNING,
        "{{ $labels.job }} {{ $labels.namespace }}/{{ $labels.pod }} {{ $labels.container }} shows no metrics: "
        "alerts that need them are blind",
        "prometheus",
    ),
    Alert(
        "MetricsTooMany",
        'max by (airflow, namespace, pod, container) (scrape_samples_post_metric_relabeling{job="pods"}) > @SERIES@',
        "10m",
        Severity.WARNING,
        "{{ $labels.namespace }}/{{ $labels.pod }} has {{ $value }} series; at the limit nothing of it is taken",
        "prometheus",
    ),
)


CERTIFICATE = "airflow_platform_certificate_expiration_timestamp_seconds"
"""When the way in's certificate ends, as the last `up` made it."""
CONNECTIONS = "airflow_platform_database_connections_limit"
"""The most that the database role of an Airflow may hold."""


def rules(
    series_limit: int, certificate: int | None = None, connections: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Prometheus' rules (https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/).

    ``certificate`` is when the way in's ends (Unix time), ``connections`` the most that each Airflow may hold to its
    database.
    """
    recorded = [_known(CONNECTIONS, most, airflow=name) for name, most in sorted((connections or {}).items())]
    if certificate is not None:
        recorded.append(_known(CERTIFICATE, certificate, namespace=INGRESS, name=TLS))
    threshold = str(int(SERIES_WARNING * series_limit))
    return {
        "groups": [
            {
                "name": "airflow-platform",
                "rules": [
                    *recorded,
                    *(
                        {
                            "alert": alert.name,
                            "expr": alert.expression.replace("@SERIES@", threshold),
                            "for": alert.lasts,
                            "labels": {"severity": str(alert.severity)},
                            "annotations": {
                                "summary": alert.summary,
                                "runbook": f"{RUNBOOKS}/{alert.name}.md",
                            },
                        }
                        for alert in ALERTS
                    ),
                ],
            }
        ]
    }


def rules_yml(series_limit: int, certificate: int | None = None, connections: Mapping[str, int] | None = None) -> str:
    """The rules as a file."""
    return yaml.safe_dump(rules(series_limit, certificate, connections), sort_keys=False, width=1000)


def _known(metric: str, value: int, **labels: str) -> dict[str, Any]:
    """A figure that the platform knows, and that nobody has to be asked for."""
    return {"record": metric, "expr": f"vector({value})", "labels": labels}
