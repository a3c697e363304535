"""Who is told of what, as Alertmanager's own tool understands the configuration."""

import subprocess
from pathlib import Path

import pytest
import yaml

from components.metrics.alertmanager import alertmanager_yml
from components.metrics.alerts import ALERTS
from infra.metrics import receivers_of
from tests.unit.debian import debians
from tests.unit.stack_files import Tree, changed, settings, stack_config
from tests.unit.test_metrics import SECRETS, SMTP

ROUTES = [
    {"name": "everything", "to": {"kind": "slack"}},
    {"name": "sales", "airflows": ["sales"], "to": {"kind": "mail", "to": ["sales@example.com"], "smtp": SMTP}},
    {"name": "main-team", "airflows": ["main"], "severities": ["page"], "to": {"kind": "pagerduty"}},
]


@pytest.fixture(scope="module")
def amtool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return debians("amtool", "prometheus-alertmanager", tmp_path_factory)


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """The file for two teams, whose Airflows are `main` and `sales`."""

    def change(tree: Tree) -> None:
        tree["airflows"].append({**tree["airflows"][0], "name": "sales"})
        tree["metrics"] = {"kind": "prometheus", "routes": ROUTES}
        tree["alertSecrets"] = {**SECRETS, "sales": "hush-sales"}
        del tree["alertSecrets"]["by-mail"]

    asked = settings(changed(stack_config("local"), change))
    assert asked.metrics is not None
    path = tmp_path / "alertmanager.yml"
    path.write_text(alertmanager_yml(receivers_of(asked, asked.metrics)))
    return path


PLATFORMS = {"BackupNotTaken", "CertificateExpires", "ElasticsearchRed", "LogsBehind"}


def told(amtool: Path, configuration: Path, **labels: str) -> set[str]:
    """The receivers of an alert with these labels."""
    command = [amtool, "config", "routes", "test", f"--config.file={configuration}"]
    said = subprocess.run(
        [*command, *(f"{label}={value}" for label, value in labels.items())], capture_output=True, text=True, check=True
    )
    return set(said.stdout.strip().split(","))


def test_alertmanager_takes_the_configuration(amtool: Path, configuration: Path) -> None:
    said = subprocess.run([amtool, "check-config", configuration], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    assert len(yaml.safe_load(configuration.read_text())["receivers"]) == len(ROUTES) + 1


def test_each_team_is_told_of_its_own_airflow_alone(amtool: Path, configuration: Path) -> None:
    assert told(amtool, configuration, airflow="sales", severity="warning") == {"everything", "sales"}
    assert told(amtool, configuration, airflow="main", severity="page") == {"everything", "main-team"}
    assert told(amtool, configuration, airflow="main", severity="warning") == {"everything"}


def test_of_the_platform_no_team_is_told(amtool: Path, configuration: Path) -> None:
    assert told(amtool, configuration, alertname="ElasticsearchRed", severity="page") == {"everything"}


def test_every_alert_on_an_airflow_keeps_the_label_by_which_its_team_is_told() -> None:
    with_it = {one.name for one in ALERTS if "by (airflow" in one.expression or '"airflow", "$1"' in one.expression}
    assert {alert.name for alert in ALERTS} - with_it == PLATFORMS
