"""Metrics of what does not run on the testbed, as its makers' own files show them: names and labels are held to it."""

RECORDED = {
    # nginx/kubernetes-ingress, tests/suite/test_prometheus_metrics.py; what NGINX itself says is
    # nginx/nginx-prometheus-exporter, README.md ("Metrics for NGINX OSS"), under the controller's prefix.
    "nginx": """
nginx_ingress_controller_nginx_reload_errors_total{class="nginx"} 0
nginx_ingress_nginx_connections_accepted{class="nginx"} 21
nginx_ingress_nginx_connections_active{class="nginx"} 1
nginx_ingress_nginx_connections_handled{class="nginx"} 21
nginx_ingress_nginx_http_requests_total{class="nginx"} 37
""",
    # fluent/fluent-plugin-prometheus, lib/fluent/plugin/in_prometheus_output_monitor.rb. Ours adds no labels of its
    # own. The ratio is in percent.
    "fluentd": """
fluentd_output_status_buffer_available_space_ratio{plugin_id="tasks",type="elasticsearch"} 100.0
fluentd_output_status_emit_records{plugin_id="tasks",type="elasticsearch"} 12.0
fluentd_output_status_num_errors{plugin_id="tasks",type="elasticsearch"} 0.0
""",
    # prometheus-community/elasticsearch_exporter v1.9.0, collector/cluster_health.go and collector/nodes.go
    "elasticsearch": """
elasticsearch_cluster_health_status{cluster="elasticsearch",color="green"} 0
elasticsearch_cluster_health_status{cluster="elasticsearch",color="red"} 0
elasticsearch_filesystem_data_available_bytes{cluster="elasticsearch",host="127.0.0.1",name="a",mount="/",path="/d"} 1
elasticsearch_filesystem_data_size_bytes{cluster="elasticsearch",host="127.0.0.1",name="a",mount="/",path="/d"} 2
""",
    # kubernetes/git-sync, main.go
    "git-sync": """
git_sync_count_total{status="success"} 2
git_sync_count_total{status="noop"} 7
git_sync_count_total{status="error"} 0
""",
    # cloud.google.com/go/cloudsqlconn v1.18.1, internal/trace/metrics.go, which the proxy shows by way of
    # contrib.go.opencensus.io/exporter/prometheus v0.4.2, sanitize.go: slashes become underscores.
    "cloud-sql-proxy": """
cloudsqlconn_open_connections{cloudsql_dialer_id="3b6e",cloudsql_instance="acme:europe-west1:airflow"} 3
cloudsqlconn_dial_failure_count{cloudsql_dialer_id="3b6e",cloudsql_instance="acme:europe-west1:airflow"} 1
""",
    # prometheus-community/pgbouncer_exporter v0.12.1, collector.go
    "pgbouncer": """
pgbouncer_databases_current_connections{name="a",host="h",port="5432",database="a",force_user="",pool_mode="session"} 4
pgbouncer_databases_max_connections{name="a",host="h",port="5432",database="a",force_user="",pool_mode="session"} 20
pgbouncer_pools_client_active_connections{database="airflow_main",user="airflow"} 9
pgbouncer_pools_client_waiting_connections{database="airflow_main",user="airflow"} 0
pgbouncer_pools_client_maxwait_seconds{database="airflow_main",user="airflow"} 0
pgbouncer_stats_totals_sql_transactions_pooled_total{database="airflow_main"} 5120
""",
    # oliver006/redis_exporter, exporter/exporter.go: the names are put behind REDIS_EXPORTER_NAMESPACE, `redis`
    "redis": """
redis_key_size{db="db0",key="default"} 3
redis_memory_max_bytes{} 134217728
redis_memory_used_bytes{} 1048576
""",
    # rabbitmq/rabbitmq-server v4.1.8, deps/rabbitmq_prometheus/metrics.md
    "rabbitmq": """
rabbitmq_process_resident_memory_bytes{} 134217728
rabbitmq_queue_messages_ready{} 3
rabbitmq_queue_messages_unacked{} 2
rabbitmq_resident_memory_limit_bytes{} 322122547
""",
    # k8s.io/kube-state-metrics/v2 v2.18.0, docs/metrics/workload and docs/metrics/policy
    "kube-state-metrics": """
kube_cronjob_created{namespace="airflow-main",cronjob="db-clean"} 1.7e+09
kube_cronjob_spec_suspend{namespace="airflow-main",cronjob="db-clean"} 0
kube_cronjob_status_last_successful_time{namespace="airflow-main",cronjob="db-clean"} 1.7e+09
kube_pod_container_status_restarts_total{namespace="airflow-main",pod="a",uid="1",container="scheduler"} 0
kube_pod_container_status_waiting_reason{namespace="airflow-main",pod="a",uid="1",container="scheduler",reason="x"} 1
kube_pod_status_phase{namespace="airflow-main",pod="a",uid="1",phase="Running"} 1
kube_resourcequota{namespace="airflow-main",resourcequota="airflow",resource="limits.memory",type="used"} 1
kube_resourcequota{namespace="airflow-main",resourcequota="airflow",resource="limits.memory",type="hard"} 2
""",
    # k8s.io/kubernetes v1.34.4, pkg/kubelet/metrics/collectors/volume_stats.go
    "kubelet-volumes": """
kubelet_volume_stats_available_bytes{namespace="airflow-main",persistentvolumeclaim="logs"} 1
kubelet_volume_stats_capacity_bytes{namespace="airflow-main",persistentvolumeclaim="logs"} 2
""",
    # cert-manager/cert-manager v1.18.2, pkg/metrics/certificates_test.go (issuer_group, issuer_kind left out)
    "cert-manager": """
certmanager_certificate_expiration_timestamp_seconds{issuer_name="test-issuer",name="test-certificate",namespace="a"} 1
""",
}
