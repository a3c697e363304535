"""Who is told of failed runs: what the scheduler gets for it and nobody else, and which settings are refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.settings import SettingsError
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, changed, deployed, settings, stack_config
from tests.unit.test_environment import pods

HOOK = "https://hooks.slack.com/services/T0/B0/hush"
TOKEN = "hush-token"
SMTP = {"host": "smtp.example.com", "user": "airflow", "sender": "airflow@example.com"}


def asking(notifications: dict[str, Any], secrets: dict[str, Any] | None = None, **more: Any) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        tree["airflows"][0] |= {"notifications": notifications, **more}
        if secrets:
            tree["secrets"] = {"main": secrets}

    return change


SLACK = asking({"kind": "slack"}, {"slackWebhook": HOOK})
MAIL = asking({"kind": "smtp", "to": ["data@example.com"]}, {"smtpPassword": "hush-mail"}, smtp=SMTP)
WEBHOOK = asking(
    {"kind": "webhook", "url": "https://alerts.tools.svc.cluster.local:8443/airflow"}, {"notificationToken": TOKEN}
)


@pytest.fixture(scope="module")
def slack() -> Recording:
    return deployed("local", SLACK)


def document(recording: Recording) -> dict[str, Any]:
    secret = recording.one("Secret", "main-notifications")
    assert any(path.startswith("stringData") for path in secret.secret_paths)
    return dict(json.loads(secret.inputs["stringData"]["notifications.json"]))


def egress(recording: Recording) -> list[dict[str, Any]]:
    spec = recording.one("NetworkPolicy", "main-network-notifications").inputs["spec"]
    assert spec["podSelector"] == {"matchLabels": {"app.kubernetes.io/component": "scheduler"}}
    return list(spec["egress"])


def test_the_scheduler_alone_has_the_plugin_and_the_secret(slack: Recording) -> None:
    for name, spec in pods(slack).items():
        volumes = {volume["name"] for volume in spec["volumes"]}
        paths = [
            variable.get("value", "")
            for container in spec["containers"]
            for variable in container.get("env", [])
            if variable["name"] == "PYTHONPATH"
        ]
        has = {"notifier", "notifications"} <= volumes and any("/platform-notifications" in path for path in paths)
        assert has == (name == "main-scheduler"), name
        assert has or not volumes & {"notifier", "notifications"}, name


def test_the_plugin_is_found_by_its_entry_point_and_reads_the_mounted_secret(slack: Recording) -> None:
    files = slack.one("ConfigMap", "main-config").inputs["data"]
    assert files["notifications-entry-points"].splitlines() == [
        "[airflow.plugins]",
        "notifications = airflow_platform_notifications:Notifications",
    ]
    assert 'Path("/run/secrets/notifications/notifications.json")' in files["notifications.py"]
    assert "@CONFIGURATION@" not in files["notifications.py"]


@pytest.mark.parametrize(
    ("change", "held"),
    [
        (SLACK, {"kind": "slack", "url": HOOK}),
        (
            WEBHOOK,
            {"kind": "webhook", "url": "https://alerts.tools.svc.cluster.local:8443/airflow", "token": TOKEN},
        ),
        (
            MAIL,
            {"kind": "smtp", "port": 587, "security": "starttls", **SMTP, "password": "hush-mail"}
            | {"to": ["data@example.com"]},
        ),
    ],
)
def test_what_is_secret_stands_in_the_secret_alone(change: Callable[[Tree], None], held: dict[str, Any]) -> None:
    recorded = deployed("local", change)
    assert document(recorded) == {"environment": "local", "airflow": "main", **held}
    for one in recorded.resources:
        if one.name not in {"main-notifications", "main-contents"}:
            assert "hush" not in json.dumps(one.inputs, default=str), one.name


def test_the_scheduler_may_connect_to_the_server_and_nothing_more(slack: Recording) -> None:
    (rule,) = egress(slack)
    assert rule["ports"] == [{"port": 443, "protocol": "TCP"}]
    (rule,) = egress(deployed("local", MAIL))
    assert rule["ports"] == [{"port": 587, "protocol": "TCP"}]
    (rule,) = egress(deployed("local", WEBHOOK))
    assert rule["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "tools"}}}]
    assert rule["ports"] == [{"port": 8443, "protocol": "TCP"}]


def test_a_changed_address_restarts_the_scheduler_alone(slack: Recording) -> None:
    other = deployed("local", asking({"kind": "slack"}, {"slackWebhook": HOOK + "-2"}))

    def checksums(recording: Recording, part: str) -> dict[str, str]:
        template = recording.one("Deployment", f"main-{part}").inputs["spec"]["template"]
        return dict(template["metadata"]["annotations"])

    assert checksums(slack, "scheduler") != checksums(other, "scheduler")
    for part in ("api-server", "dag-processor", "triggerer"):
        assert checksums(slack, part) == checksums(other, part), part


def test_nobody_is_told_unless_it_is_asked_for() -> None:
    recorded = deployed("local")
    assert "main-notifications" not in recorded.of("Secret")
    assert "main-network-notifications" not in recorded.of("NetworkPolicy")
    assert "notifications.py" not in recorded.one("ConfigMap", "main-config").inputs["data"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            asking({"kind": "smtp", "to": ["a@b.c"]}),
            "airflows.main.notifications: kind 'smtp' needs a mail server. Say which in airflows.main.smtp",
        ),
        (asking({"kind": "smtp", "to": []}, smtp={"host": "m", "sender": "a@b.c"}), "airflows.main.notifications.to"),
        (asking({"kind": "slack"}), "secrets.main.slackWebhook: is missing, and airflows.main.notifications sends"),
        (asking({"kind": "slack"}, {"slackWebhook": "https://x.y/hush"}), "slackWebhook: is no webhook of Slack's"),
        (asking({"kind": "webhook"}), "airflows.main.notifications.url: is missing"),
        (
            asking({"kind": "webhook", "url": "http://a.b/c"}, {"notificationToken": "hush"}),
            "airflows.main.notifications.url: http would send the token in clear. Write it as https",
        ),
        (asking({"kind": "webhook", "url": "https://u:p@a.b"}), "airflows.main.notifications.url"),
        (asking({"kind": "pager"}), "airflows.main.notifications"),
        (lambda t: t.update(secrets={"main": {"slackWebhook": HOOK}}), "secrets.main.slackWebhook: nothing reads it."),
        (
            asking({"kind": "slack"}, {"slackWebhook": HOOK, "notificationToken": "hush"}),
            "secrets.main.notificationToken: nothing reads it. Set airflows.main.notifications to kind 'webhook'",
        ),
    ],
)
def test_a_mistake_is_named_with_its_mend(change: Callable[[Tree], object], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(changed(stack_config("local"), change))
    assert said in str(refused.value)
    assert "hush" not in str(refused.value)
