"""What Airflows stand on: database, resources, logs, the way in."""

from components.metrics.dashboards.panels import CHOSEN as A
from components.metrics.dashboards.panels import Dashboard, Panel, Query

DATABASE = Dashboard(
    "airflow-database",
    "Database and PgBouncer",
    "Who holds connections, and who waits for one.",
    (
        Panel(
            "Connections to the server",
            "Of PgBouncer, and the most that it may open. Above 80% is an alert.",
            "short",
            [
                Query(f"sum by (airflow) (pgbouncer_databases_current_connections{{{A}}})", "{{airflow}} open"),
                Query(f"sum by (airflow) (pgbouncer_databases_max_connections{{{A}}} > 0)", "{{airflow}} most"),
            ],
            "pgbouncer",
        ),
        Panel(
            "Clients",
            "Connections of Airflow's parts: working, and waiting for one to the server.",
            "short",
            [
                Query(f"sum by (airflow) (pgbouncer_pools_client_active_connections{{{A}}})", "{{airflow}} active"),
                Query(f"sum by (airflow) (pgbouncer_pools_client_waiting_connections{{{A}}})", "{{airflow}} waiting"),
            ],
            "pgbouncer",
        ),
        Panel(
            "The longest wait",
            "Of a client that waits now.",
            "s",
            [Query(f"max by (airflow) (pgbouncer_pools_client_maxwait_seconds{{{A}}})")],
            "pgbouncer",
        ),
        Panel(
            "Transactions",
            "By the second.",
            "ops",
            [
                Query(
                    "sum by (airflow) "
                    f"(rate(pgbouncer_stats_totals_sql_transactions_pooled_total{{{A}}}[$__rate_interval]))"
                )
            ],
            "pgbouncer",
        ),
        Panel(
            "Connections of the Auth Proxy",
            "Open ones to Cloud SQL, by pod.",
            "short",
            [Query(f"sum by (airflow, pod) (cloudsqlconn_open_connections{{{A}}})", "{{airflow}} {{pod}}")],
            "cloud-sql-proxy",
        ),
        Panel(
            "Failed logins of the Auth Proxy",
            "A minute. Rights, or an instance that is away.",
            "short",
            [
                Query(
                    f"sum by (airflow, pod) (rate(cloudsqlconn_dial_failure_count{{{A}}}[$__rate_interval]) * 60)",
                    "{{airflow}} {{pod}}",
                )
            ],
            "cloud-sql-proxy",
            quiet=True,
        ),
    ),
)

RESOURCES = Dashboard(
    "airflow-resources",
    "Resources and quotas",
    "What pods use, what they may use, and what went wrong with them.",
    (
        Panel(
            "CPU by pod",
            "The ten that use most.",
            "cores",
            [
                Query(
                    "topk(10, sum by (airflow, pod) "
                    f"(rate(container_cpu_usage_seconds_total{{{A}}}[$__rate_interval])))",
                    "{{airflow}} {{pod}}",
                )
            ],
            "kubelet",
        ),
        Panel(
            "Memory by pod",
            "The ten that use most.",
            "bytes",
            [
                Query(
                    f"topk(10, sum by (airflow, pod) (container_memory_working_set_bytes{{{A}}}))",
                    "{{airflow}} {{pod}}",
                )
            ],
            "kubelet",
        ),
        Panel(
            "Memory, of what is allowed",
            "Of all containers together. One at its own limit is killed.",
            "percentunit",
            [
                Query(
                    f"max by (airflow, pod) (container_memory_working_set_bytes{{{A}}} "
                    f"/ (container_spec_memory_limit_bytes{{{A}}} > 0))",
                    "{{airflow}} {{pod}}",
                )
            ],
            "kubelet",
        ),
        Panel(
            "CPU held back",
            "Share of time in which a pod wanted more than it may have.",
            "percentunit",
            [
                Query(
                    "sum by (airflow, pod) "
                    f"(rate(container_cpu_cfs_throttled_periods_total{{{A}}}[$__rate_interval])) "
                    "/ (sum by (airflow, pod) "
                    f"(rate(container_cpu_cfs_periods_total{{{A}}}[$__rate_interval])) > 0)",
                    "{{airflow}} {{pod}}",
                )
            ],
            "kubelet",
        ),
        Panel(
            "Quota",
            "Used, of what the namespace may ask for. Above 90% is an alert.",
            "percentunit",
            [
                Query(
                    f'sum by (airflow, resource) (kube_resourcequota{{{A}, type="used"}}) '
                    f'/ sum by (airflow, resource) (kube_resourcequota{{{A}, type="hard"}} > 0)',
                    "{{airflow}} {{resource}}",
                )
            ],
            "kube-state-metrics",
        ),
        Panel(
            "Pods by phase",
            "Pending for long: no room, or no image.",
            "short",
            [Query(f"sum by (airflow, phase) (kube_pod_status_phase{{{A}}})", "{{airflow}} {{phase}}")],
            "kube-state-metrics",
        ),
        Panel(
            "Restarts",
            "By the hour.",
            "short",
            [
                Query(
                    f"sum by (airflow, pod) (increase(kube_pod_container_status_restarts_total{{{A}}}[1h])) > 0",
                    "{{airflow}} {{pod}}",
                )
            ],
            "kube-state-metrics",
            quiet=True,
        ),
        Panel(
            "Volumes",
            "Full, by claim.",
            "percentunit",
            [
                Query(
                    f"1 - kubelet_volume_stats_available_bytes{{{A}}} / kubelet_volume_stats_capacity_bytes{{{A}}}",
                    "{{airflow}} {{persistentvolumeclaim}}",
                )
            ],
            "kubelet",
        ),
        Panel(
            "Series, by pod",
            "What the metrics themselves cost. At the limit a pod's metrics are not taken.",
            "short",
            [Query(f'scrape_samples_post_metric_relabeling{{job="pods", {A}}}', "{{airflow}} {{pod}} {{container}}")],
            "prometheus",
        ),
    ),
)

LOGS = Dashboard(
    "airflow-logs",
    "Logs pipeline",
    "From a pod's output to where it is searched. And how DAGs arrive.",
    (
        Panel(
            "Buffer that is free",
            "Of each collector's output. Below 20% is an alert.",
            "percent",
            [
                Query(
                    "min by (pod, plugin_id) (fluentd_output_status_buffer_available_space_ratio)",
                    "{{pod}} {{plugin_id}}",
                )
            ],
            "fluentd",
        ),
        Panel(
            "Records sent",
            "By the second.",
            "ops",
            [Query("sum by (pod) (rate(fluentd_output_status_emit_records[$__rate_interval]))", "{{pod}}")],
            "fluentd",
        ),
        Panel(
            "Attempts that failed",
            "How many a minute. They are made again, until the buffer is full.",
            "short",
            [Query("sum by (pod) (rate(fluentd_output_status_num_errors[$__rate_interval]) * 60)", "{{pod}}")],
            "fluentd",
            quiet=True,
        ),
        Panel(
            "Elasticsearch",
            "1 for the colour that it has.",
            "short",
            [Query("max by (cluster, color) (elasticsearch_cluster_health_status)", "{{cluster}} {{color}}")],
            "elasticsearch",
        ),
        Panel(
            "Elasticsearch's disks",
            "Free, by node.",
            "percentunit",
            [
                Query(
                    "min by (cluster, name) (elasticsearch_filesystem_data_available_bytes "
                    "/ elasticsearch_filesystem_data_size_bytes)",
                    "{{cluster}} {{name}}",
                )
            ],
            "elasticsearch",
        ),
        Panel(
            "git-sync",
            "Fetches by the hour: success: DAGs changed; noop: they did not; error: it failed.",
            "short",
            [
                Query(
                    f"sum by (airflow, status) (increase(git_sync_count_total{{{A}}}[1h]))",
                    "{{airflow}} {{status}}",
                )
            ],
            "git-sync",
        ),
    ),
)

INGRESS = Dashboard(
    "airflow-ingress",
    "Ingress",
    "The way in.",
    (
        Panel(
            "Requests",
            "By the second.",
            "reqps",
            [Query("sum by (pod) (rate(nginx_ingress_nginx_http_requests_total[$__rate_interval]))", "{{pod}}")],
            "nginx",
        ),
        Panel(
            "Connections",
            "Active now.",
            "short",
            [Query("sum by (pod) (nginx_ingress_nginx_connections_active)", "{{pod}}")],
            "nginx",
        ),
        Panel(
            "Connections that were refused",
            "Taken and not handled, a minute: a limit of NGINX.",
            "short",
            [
                Query(
                    "sum by (pod) (rate(nginx_ingress_nginx_connections_accepted[$__rate_interval]) * 60) "
                    "- sum by (pod) (rate(nginx_ingress_nginx_connections_handled[$__rate_interval]) * 60)",
                    "{{pod}}",
                )
            ],
            "nginx",
        ),
        Panel(
            "Configuration",
            "Reloads that failed, by the hour. What is served stays as it was.",
            "short",
            [
                Query(
                    "sum by (pod) (increase(nginx_ingress_controller_nginx_reload_errors_total[1h]))",
                    "{{pod}}",
                )
            ],
            "nginx",
        ),
    ),
)
