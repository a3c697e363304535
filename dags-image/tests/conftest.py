"""Runs where Airflow is installed; nothing here needs a cluster, a network or a database server."""

import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
DAGS = HERE.parent / "dags"
PLUGINS = HERE.parent / "plugins"
sys.path[:0] = [str(DAGS), str(PLUGINS), str(HERE.parent)]

# Before anything imports Airflow: a home of its own, no examples, quiet.
_home = tempfile.TemporaryDirectory(prefix="airflow-home-")
os.environ["AIRFLOW_HOME"] = _home.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(DAGS)
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(PLUGINS)
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
