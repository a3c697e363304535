module airflow-platform/testbed/cluster/pause

go 1.25
