"""DAGs in the image: Airflow records the image's version, and ties no run to it."""

import subprocess
import sys
from pathlib import Path

import pytest
from airflow.dag_processing.bundles.base import BundleVersion
from airflow_platform_bundles import image as image_module
from airflow_platform_bundles.image import ImageDagBundle
from conftest import DAGS
from structlog.testing import CapturingLogger

RECORDED = """
import json, sys
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.dag_version import DagVersion
from airflow.utils.session import create_session

manager = DagBundlesManager()
manager.sync_bundles_to_db()
bundle = manager.get_bundle("dags")
bundle.initialize()
bag = DagBag(dag_folder=bundle.path / "example_hello_daily.py", bundle_path=bundle.path, bundle_name="dags")
sync_bag_to_db(bag, "dags", bundle.get_current_version().version)
run = bag.dags["example_hello_daily"].test()
with create_session() as session:
    version = DagVersion.get_latest_version("example_hello_daily", session=session)
    print(json.dumps([version.bundle_version, run.bundle_version, str(run.state)]))
"""


@pytest.fixture
def image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGS_VERSION", "v1.2.0-3-gabc1234")


@pytest.mark.usefixtures("image")
def test_the_version_is_the_images_whatever_is_asked_for() -> None:
    for asked in (None, "v1.2.0-3-gabc1234", "v1.1.0"):
        bundle = ImageDagBundle(name="dags", path=str(DAGS), version=asked)
        bundle.initialize()
        assert bundle.get_current_version() == BundleVersion(version="v1.2.0-3-gabc1234")
        assert bundle.path == DAGS


@pytest.mark.usefixtures("image")
def test_each_tasks_log_names_the_image_and_says_when_another_one_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = CapturingLogger()
    monkeypatch.setattr(image_module, "log", log)
    ImageDagBundle(name="dags", path=str(DAGS)).initialize()
    assert [call.method_name for call in log.calls] == ["info"]
    assert log.calls[0].kwargs["image_version"] == "v1.2.0-3-gabc1234"
    ImageDagBundle(name="dags", path=str(DAGS), version="v1.1.0").initialize()
    assert [call.method_name for call in log.calls[1:]] == ["info", "warning"]
    assert log.calls[2].kwargs["asked_for"] == "v1.1.0"


def test_an_image_without_a_version_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGS_VERSION", raising=False)
    assert ImageDagBundle(name="dags", path=str(DAGS)).get_current_version() == BundleVersion(version="unversioned")


def test_airflow_records_the_version_with_the_dag_and_ties_no_run_to_it(tmp_path: Path) -> None:
    classpath = "airflow_platform_bundles.image.ImageDagBundle"
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(DAGS.parent),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DAG_PROCESSOR__DISABLE_BUNDLE_VERSIONING": "True",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": (
            f'[{{"name": "dags", "classpath": "{classpath}", "kwargs": {{"path": "{DAGS}"}}}}]'
        ),
        "DAGS_VERSION": "v7",
    }
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=environment, check=True, capture_output=True)
    done = subprocess.run([sys.executable, "-c", RECORDED], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == '["v7", null, "success"]'
