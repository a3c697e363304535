"""For every alert: figures at which it must fire, with what it then says, and figures at which it must not.

Figures are in promtool's notation: ``0+6x20`` begins at 0 and grows by 6 twenty times, every half minute.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Series = Mapping[str, str]
MAIN = {"airflow": "main"}
AIRFLOW = 'airflow="main"'
POOL = 'airflow="main", name="airflow_main"'
DELAY = 'airflow="main", dag_id="sales", quantile="0.9"'
UP = 'up{job="pods", namespace="airflow-main", airflow="main", pod="statsd-1", container="statsd", component="statsd"}'
RUNS = 'airflow_pool_running_slots{airflow="main", pool="default_pool"}'
WAITS = 'airflow_pool_queued_slots{airflow="main", pool="default_pool"}'
POD = 'airflow="main", namespace="airflow-main", pod="scheduler-1", container="scheduler"'
CRON = 'airflow="main", namespace="airflow-main", cronjob="db-clean"'
BACKUP = 'namespace="database", cronjob="check-backups"'
REDIS = 'airflow="main", pod="redis-0"'
RABBITMQ = 'airflow="main", pod="rabbitmq-0"'
QUOTA = 'airflow="main", namespace="airflow-main", resource="limits.memory"'
VOLUME = 'airflow="main", namespace="airflow-main", persistentvolumeclaim="logs"'
SYNC = 'airflow="main", namespace="airflow-main", pod="dag-processor-1"'
CERTIFICATE = 'namespace="ingress", name="tls"'
DAY = 86400


@dataclass(frozen=True)
class Case:
    """``labels`` and ``summary`` are those of the alert that fires at ``at``; at the same time ``calm`` fires none."""

    alert: str
    firing: Series
    at: str
    labels: Mapping[str, str]
    summary: str
    calm: tuple[Series, ...] = field(default_factory=tuple)


def figures(labels: str, **values: str) -> Series:
    """Series of several metrics with the same labels."""
    return {f"{metric}{{{labels}}}": value for metric, value in values.items()}


def share(labels: str, part: str, whole: str, percent: int) -> Series:
    """``part`` is so many percent of ``whole``, all the time."""
    return figures(labels, **{part: f"{percent}x40", whole: "100x40"})


CONNECTIONS = ("pgbouncer_databases_current_connections", "pgbouncer_databases_max_connections")
PROXIES = ("cloudsqlconn_open_connections", "airflow_platform_database_connections_limit")
REDIS_MEMORY = ("redis_memory_used_bytes", "redis_memory_max_bytes")
RABBITMQ_MEMORY = ("rabbitmq_process_resident_memory_bytes", "rabbitmq_resident_memory_limit_bytes")
ROOM = ("kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes")

CASES = (
    Case(
        "AirflowSchedulerDown",
        figures('airflow="main", type="counter"', airflow_scheduler_heartbeat="0+6x10 60x10"),
        "7m",
        MAIN,
        "No scheduler of Airflow main has given a sign of life for 90 seconds: no task starts",
        calm=(
            figures('airflow="main", type="counter"', airflow_scheduler_heartbeat="0+6x20"),
            # The exporter began anew: the counter is at 0 again, and grows.
            figures('airflow="main", type="counter"', airflow_scheduler_heartbeat="0+6x10 0+6x10"),
            # One of two schedulers is away.
            {
                'airflow_scheduler_heartbeat{airflow="main", type="counter", pod="a"}': "0+6x20",
                'airflow_scheduler_heartbeat{airflow="main", type="counter", pod="b"}': "60x20",
            },
        ),
    ),
    Case(
        "AirflowSchedulerNeverSeen",
        {UP: "1x20"},
        "6m",
        MAIN,
        "The metrics of Airflow main are taken, and no scheduler has sent any",
        calm=({UP: "1x20", 'airflow_scheduler_heartbeat{airflow="main"}': "0x20"}, {UP: "0x20"}),
    ),
    Case(
        "AirflowDagProcessorDown",
        figures(AIRFLOW, airflow_dag_processor_heartbeat="0+6x4 24x20"),
        "8m",
        MAIN,
        "No dag-processor of Airflow main has given a sign of life for 5 minutes: DAGs grow old",
        calm=(
            figures(AIRFLOW, airflow_dag_processor_heartbeat="0+6x20"),
            figures(AIRFLOW, airflow_dag_processor_heartbeat="0+6x12 72x3 72+6x10"),
        ),
    ),
    Case(
        "AirflowTriggererDown",
        figures(AIRFLOW, airflow_triggerer_heartbeat="0+6x4 24x20"),
        "8m",
        MAIN,
        "No triggerer of Airflow main has given a sign of life for 5 minutes: deferred tasks wait",
        calm=(figures(AIRFLOW, airflow_triggerer_heartbeat="0+6x20"),),
    ),
    Case(
        "AirflowExecutorFull",
        figures('airflow="main", executor="KubernetesExecutor"', airflow_executor_open_slots="0x40"),
        "16m",
        {"airflow": "main", "executor": "KubernetesExecutor"},
        "The KubernetesExecutor of Airflow main has had no free slot for 15 minutes",
        calm=(
            figures('airflow="main", executor="KubernetesExecutor"', airflow_executor_open_slots="1x40"),
            figures('airflow="main", executor="KubernetesExecutor"', airflow_executor_open_slots="0x20 2 0x20"),
        ),
    ),
    Case(
        "AirflowTasksNotStarting",
        {WAITS: "3x30", RUNS: "0x30"},
        "11m",
        MAIN,
        "Tasks of Airflow main have been queued for 10 minutes, and none runs",
        calm=({WAITS: "3x30", RUNS: "1x30"}, {WAITS: "0x30", RUNS: "0x30"}),
    ),
    Case(
        "AirflowImportErrors",
        figures(AIRFLOW, airflow_dag_processing_import_errors="2x30"),
        "11m",
        MAIN,
        "2 DAG files of Airflow main can't be imported",
        calm=(
            figures(AIRFLOW, airflow_dag_processing_import_errors="0x30"),
            # One file was written in two steps.
            figures(AIRFLOW, airflow_dag_processing_import_errors="1x6 0x24"),
        ),
    ),
    Case(
        "AirflowTasksFailing",
        figures(AIRFLOW, airflow_ti_failures="0+1x120", airflow_ti_successes="0+3x120"),
        "50m",
        MAIN,
        "25% of the tasks of Airflow main have failed in half an hour",
        calm=(
            figures(AIRFLOW, airflow_ti_failures="0+1x120", airflow_ti_successes="0+30x120"),
            # Few tasks, and one that fails: no ratio to speak of.
            figures(AIRFLOW, airflow_ti_failures="0x60 1x60", airflow_ti_successes="0x120"),
        ),
    ),
    Case(
        "AirflowScheduleDelayed",
        figures(DELAY, airflow_dagrun_schedule_delay="400x30"),
        "11m",
        MAIN,
        "DAG runs of Airflow main begin 6m 40s late",
        calm=(
            figures(DELAY, airflow_dagrun_schedule_delay="20x30"),
            # Nothing ran lately.
            figures(DELAY, airflow_dagrun_schedule_delay=" ".join(["NaN"] * 30)),
        ),
    ),
    Case(
        "AirflowDagsNotSynced",
        {
            f'git_sync_count_total{{{SYNC}, status="success"}}': "2x60",
            f'git_sync_count_total{{{SYNC}, status="noop"}}': "7x60",
            f'git_sync_count_total{{{SYNC}, status="error"}}': "0+1x60",
        },
        "21m",
        {"airflow": "main", "pod": "dag-processor-1"},
        "git-sync in dag-processor-1 of Airflow main has not fetched for 20 minutes: DAGs are old",
        calm=(
            {
                f'git_sync_count_total{{{SYNC}, status="success"}}': "2x60",
                f'git_sync_count_total{{{SYNC}, status="noop"}}': "0+1x60",
            },
        ),
    ),
    Case(
        "DatabaseConnectionsHigh",
        share(POOL, *CONNECTIONS, 90),
        "11m",
        MAIN,
        "Airflow main uses 90% of its database connections",
        calm=(
            share(POOL, *CONNECTIONS, 50),
            # Who has a PgBouncer has it hold connections that nobody needs.
            {**share(POOL, *CONNECTIONS, 50), **share(AIRFLOW, *PROXIES, 90)},
            share(AIRFLOW, *PROXIES, 50),
            # Its own console has no limit.
            figures('airflow="main", name="pgbouncer"', **dict(zip(CONNECTIONS, ("1x30", "0x30"), strict=True))),
        ),
    ),
    Case(
        "DatabaseClientsWaiting",
        figures('airflow="main", database="airflow_main"', pgbouncer_pools_client_maxwait_seconds="45x10"),
        "3m",
        MAIN,
        "Parts of Airflow main have waited 45 seconds for a database connection",
        calm=(figures('airflow="main", database="airflow_main"', pgbouncer_pools_client_maxwait_seconds="1x10"),),
    ),
    Case(
        "BrokerFillingUp",
        share(REDIS, *REDIS_MEMORY, 90),
        "6m",
        {"airflow": "main", "pod": "redis-0"},
        "redis-0 of Airflow main uses 90% of its memory: when it is full it takes no task",
        calm=(
            share(REDIS, *REDIS_MEMORY, 50),
            # One without a limit.
            figures(REDIS, **dict(zip(REDIS_MEMORY, ("90x20", "0x20"), strict=True))),
        ),
    ),
    Case(
        "BrokerFillingUp",
        share(RABBITMQ, *RABBITMQ_MEMORY, 90),
        "6m",
        {"airflow": "main", "pod": "rabbitmq-0"},
        "rabbitmq-0 of Airflow main uses 90% of its memory: when it is full it takes no task",
        calm=(share(RABBITMQ, *RABBITMQ_MEMORY, 50),),
    ),
    Case(
        "VolumeFillingUp",
        share(VOLUME, *ROOM, 10),
        "16m",
        {"airflow": "main", "namespace": "airflow-main", "persistentvolumeclaim": "logs"},
        "The volume logs in airflow-main has 10% left",
        calm=(share(VOLUME, *ROOM, 20),),
    ),
    Case(
        "ElasticsearchRed",
        figures('cluster="logs", color="red"', elasticsearch_cluster_health_status="1x10"),
        "3m",
        {"cluster": "logs"},
        "Elasticsearch logs is red: some logs can be neither written nor read",
        calm=(
            {
                'elasticsearch_cluster_health_status{cluster="logs", color="red"}': "0x10",
                'elasticsearch_cluster_health_status{cluster="logs", color="yellow"}': "1x10",
            },
        ),
    ),
    Case(
        "LogsBehind",
        figures('namespace="logging", pod="fluentd-1"', fluentd_output_status_buffer_available_space_ratio="12x30"),
        "11m",
        {"namespace": "logging", "pod": "fluentd-1"},
        "The log buffer of fluentd-1 is 12% free: logs arrive late, and will be lost when it is full",
        calm=(
            figures('namespace="logging", pod="fluentd-1"', fluentd_output_status_buffer_available_space_ratio="95x30"),
        ),
    ),
    Case(
        "CertificateExpires",
        figures(CERTIFICATE, certmanager_certificate_expiration_timestamp_seconds=f"{10 * DAY}x200"),
        "61m",
        {"namespace": "ingress", "name": "tls"},
        "The certificate tls in ingress has 9d 22h 59m 0s left",
        calm=(figures(CERTIFICATE, certmanager_certificate_expiration_timestamp_seconds=f"{30 * DAY}x200"),),
    ),
    Case(
        "UpkeepNotRunning",
        figures(CRON, kube_cronjob_status_last_successful_time=f"{-2 * DAY}x200", kube_cronjob_spec_suspend="0x200"),
        "61m",
        {"airflow": "main", "namespace": "airflow-main", "cronjob": "db-clean"},
        "airflow-main/db-clean has not succeeded for 2d 1h 1m 0s",
        calm=(
            figures(CRON, kube_cronjob_status_last_successful_time="0x200", kube_cronjob_spec_suspend="0x200"),
            # At rest for maintenance.
            figures(
                CRON, kube_cronjob_status_last_successful_time=f"{-2 * DAY}x200", kube_cronjob_spec_suspend="1x200"
            ),
        ),
    ),
    Case(
        "BackupNotTaken",
        figures(BACKUP, kube_cronjob_status_last_successful_time="0x3000"),
        "24h1m",
        {"namespace": "database", "cronjob": "check-backups"},
        "For 1d 0h 1m 0s nobody has found a backup of the database that is young enough",
        calm=(
            figures(BACKUP, kube_cronjob_status_last_successful_time="80000x3000"),
            # A new instance: the first one comes within a day.
            figures(BACKUP, kube_cronjob_created="80000x3000"),
            figures(CRON, kube_cronjob_status_last_successful_time="0x3000"),
        ),
    ),
    Case(
        "PodCrashLooping",
        figures(POD, kube_pod_container_status_restarts_total="0+1x60"),
        "25m",
        {"airflow": "main", "namespace": "airflow-main", "pod": "scheduler-1", "container": "scheduler"},
        "scheduler in airflow-main/scheduler-1 ends again and again",
        calm=(figures(POD, kube_pod_container_status_restarts_total="0x20 1x40"),),
    ),
    Case(
        "QuotaNearLimit",
        {
            f'kube_resourcequota{{{QUOTA}, type="used"}}': "95x30",
            f'kube_resourcequota{{{QUOTA}, type="hard"}}': "100x30",
        },
        "11m",
        {"airflow": "main", "namespace": "airflow-main", "resource": "limits.memory"},
        "airflow-main uses 95% of its limits.memory",
        calm=(
            {
                f'kube_resourcequota{{{QUOTA}, type="used"}}': "50x30",
                f'kube_resourcequota{{{QUOTA}, type="hard"}}': "100x30",
            },
        ),
    ),
    Case(
        "MetricsTargetDown",
        {UP: "0x20"},
        "6m",
        {
            "airflow": "main",
            "namespace": "airflow-main",
            "pod": "statsd-1",
            "container": "statsd",
            "job": "pods",
        },
        "pods airflow-main/statsd-1 statsd shows no metrics: alerts that need them are blind",
        calm=({UP: "1x20"}, {UP: "1x4 0x3 1x20"}),
    ),
    Case(
        "MetricsTooMany",
        {f'scrape_samples_post_metric_relabeling{{job="pods", {POD}}}': "900x30"},
        "11m",
        {"airflow": "main", "namespace": "airflow-main", "pod": "scheduler-1", "container": "scheduler"},
        "airflow-main/scheduler-1 has 900 series; at the limit nothing of it is taken",
        calm=({f'scrape_samples_post_metric_relabeling{{job="pods", {POD}}}': "700x30"},),
    ),
)
