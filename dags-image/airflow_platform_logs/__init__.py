"""Task logs by way of standard output: written line by line as they happen, read back from Elasticsearch.

`[logging] logging_config_class` names `airflow_platform_logs.config.LOGGING_CONFIG`. Part of the image, because all
that runs tasks or shows their logs imports it.
"""
