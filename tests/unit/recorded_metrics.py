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
    # fluent/fluent-plugin-prometheus, README.md and lib/fluent/plugin/in_prometheus_output_monitor.rb
    "fluentd": """
fluentd_output_status_buffer_available_space_ratio{hostname="c60446e28913",plugin_id="object:898",type="kafka2"} 100.0
fluentd_output_status_emit_records{hostname="c60446e28913",plugin_id="object:898",type="kafka2"} 12.0
fluentd_output_status_num_errors{hostname="c60446e28913",plugin_id="object:898",type="kafka2"} 0.0
""",
    # prometheus-community/elasticsearch_exporter, collector/cluster_health_test.go and collector/nodes_test.go
    "elasticsearch": """
elasticsearch_cluster_health_status{cluster="elasticsearch",color="green"} 0
elasticsearch_cluster_health_status{cluster="elasticsearch",color="red"} 0
elasticsearch_filesystem_data_available_bytes{cluster="elasticsearch",host="127.0.0.1",name="bVrN1Hx"} 7e+10
elasticsearch_filesystem_data_size_bytes{cluster="elasticsearch",host="127.0.0.1",name="bVrN1Hx"} 4e+11
""",
    # kubernetes/git-sync, test_e2e.sh and main.go
    "git-sync": """
git_sync_count_total{status="success"} 2
git_sync_count_total{status="noop"} 7
git_sync_count_total{status="error"} 0
""",
    # GoogleCloudPlatform/cloud-sql-go-connector, internal/trace/metrics.go
    "cloud-sql-proxy": """
cloudsqlconn_open_connections{cloudsql_dialer_id="3b6e",cloudsql_instance="acme:europe-west1:airflow"} 3
cloudsqlconn_dial_failure_count{cloudsql_dialer_id="3b6e",cloudsql_instance="acme:europe-west1:airflow"} 1
""",
    # prometheus-community/pgbouncer_exporter, collector.go
    "pgbouncer": """
pgbouncer_databases_current_connections{name="airflow_main",host="127.0.0.1",database="airflow_main"} 4
pgbouncer_databases_max_connections{name="airflow_main",host="127.0.0.1",database="airflow_main"} 20
pgbouncer_pools_client_active_connections{database="airflow_main",user="airflow"} 9
pgbouncer_pools_client_waiting_connections{database="airflow_main",user="airflow"} 0
pgbouncer_pools_client_maxwait_seconds{database="airflow_main",user="airflow"} 0
pgbouncer_stats_sql_transactions_pooled_total{database="airflow_main"} 5120
""",
    # kubernetes/kube-state-metrics, docs/metrics/workload and docs/metrics/policy
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
    # kubernetes/kubernetes, test/instrumentation/documentation/documentation.md
    "kubelet-volumes": """
kubelet_volume_stats_available_bytes{namespace="airflow-main",persistentvolumeclaim="logs"} 1
kubelet_volume_stats_capacity_bytes{namespace="airflow-main",persistentvolumeclaim="logs"} 2
""",
    # cert-manager/cert-manager, pkg/metrics/metrics.go
    "cert-manager": """
certmanager_certificate_expiration_timestamp_seconds{name="tls",namespace="ingress",issuer_name="letsencrypt"} 1.7e+09
""",
}
