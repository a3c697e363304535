"""Where an Airflow gets its DAGs from: bundle classes that `[dag_processor] dag_bundle_config_list` names.

Part of the image, because everything that knows of a bundle imports its class: dag-processor, scheduler, tasks.
"""
