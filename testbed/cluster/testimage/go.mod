module airflow-platform/testbed/cluster/testimage

go 1.25
