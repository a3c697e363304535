"""Contents, keys, clean-up, mail, a secrets backend and a pod to look around in, as the program registers them."""

import json
from typing import Any

import pytest

from components.airflow.housekeeping import clean_database
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, deployed
from tests.unit.test_environment import airflow_cfg, leaves, pods


def with_airflow(**changes: Any) -> Recording:
    return deployed(change=lambda tree: tree["airflows"][0].update(changes))


def contents(recording: Recording) -> dict[str, Any]:
    secret = recording.one("Secret", "main-contents")
    assert any(path.startswith("stringData") for path in secret.secret_paths)
    return dict(json.loads(secret.inputs["stringData"]["contents.json"]))


def keys(recording: Recording) -> list[str]:
    """The numbers of the Fernet keys in the Secret, in order; the first one is 0."""
    text = recording.one("Secret", "main-keys").inputs["stringData"]["fernet-key"]
    return ["0" if key.endswith("-__--__--_8=") else key[-12:-4].lstrip("0") for key in text.split(",")]


@pytest.fixture(scope="module")
def local() -> Recording:
    return deployed()


def fill(tree: Tree) -> None:
    tree["airflows"][0].update(
        connections={
            "warehouse": {
                "type": "postgres",
                "host": "db",
                "port": 5432,
                "schema": "x",
                "extra": {"sslmode": "require"},
            }
        },
        variables={"region": "europe-west1"},
        pools={"default_pool": {"slots": 64}},
    )
    tree["secrets"] = {
        "main": {
            "connections": {"warehouse": {"login": "me", "password": "hush-1", "extra": {"token": "hush-2"}}},
            "variables": {"key": "hush-3"},
        }
    }


def test_contents_reach_their_job_whole_and_in_a_secret_alone() -> None:
    recorded = deployed(change=fill)
    assert contents(recorded) == {
        "connections": {
            "warehouse": {
                "type": "postgres",
                "host": "db",
                "port": 5432,
                "schema": "x",
                "login": "me",
                "password": "hush-1",
                "description": "",
                "extra": {"sslmode": "require", "token": "hush-2"},
            }
        },
        "variables": {"region": "europe-west1", "key": "hush-3"},
        "pools": {"default_pool": {"slots": 64, "includeDeferred": False, "description": ""}},
        "takeOver": False,
    }
    holders = {one.name for one in recorded.resources for _, value in leaves(one.inputs) if "hush-" in str(value)}
    assert holders == {"main-contents"}


def test_contents_are_reconciled_when_they_change_and_every_hour(local: Recording) -> None:
    changed = deployed(change=fill)

    def job(recording: Recording) -> str:
        return str(recording.one("Job", "main-reconcile").inputs["metadata"]["name"])

    assert job(local) != job(changed)
    assert job(local) == job(deployed())
    cron = local.one("CronJob", "main-reconcile").inputs["spec"]
    minute, *rest = cron["schedule"].split()
    assert 0 <= int(minute) < 60
    assert rest == ["*", "*", "*", "*"]


def test_what_is_taken_out_of_the_stack_file_has_a_job_that_removes_it(local: Recording) -> None:
    assert contents(local) == {"connections": {}, "variables": {}, "pools": {}, "takeOver": False}
    assert local.one("Job", "main-reconcile").inputs["spec"]["template"]["spec"]["containers"][0]["command"][-1] == (
        "/run/secrets/contents/contents.json"
    )


def test_a_change_of_contents_restarts_no_part_of_airflow(local: Recording) -> None:
    changed = deployed(change=fill)
    for name, one in local.of("Deployment").items():
        assert one.inputs == changed.one("Deployment", name).inputs, name


def test_every_cron_job_runs_alone_and_comes_to_an_end(local: Recording) -> None:
    crons = local.of("CronJob")
    assert sorted(crons) == ["main-clean-logs", "main-clean-task-pods", "main-db-clean", "main-reconcile"]
    for name, cron in crons.items():
        spec = cron.inputs["spec"]
        assert spec["concurrencyPolicy"] == "Forbid", name
        assert spec["timeZone"] == "UTC", name
        assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] >= 900, name
        assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (1, 1), name
        assert spec["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] == "Never", name


def test_many_airflows_do_not_all_begin_at_once() -> None:
    def change(tree: Tree) -> None:
        tree["airflows"].append({**tree["airflows"][0], "name": "team-a"})

    crons = deployed(change=change).of("CronJob")
    minutes = {name: cron.inputs["spec"]["schedule"].split()[0] for name, cron in crons.items()}
    for job in ("reconcile", "db-clean", "clean-task-pods"):
        assert minutes[f"main-{job}"] != minutes[f"team-a-{job}"]
    own = {minute for name, minute in minutes.items() if name.startswith("main-") and name != "main-clean-logs"}
    assert len(own) == 3


def test_the_database_is_cleaned_as_the_settings_say() -> None:
    recorded = with_airflow(housekeeping={"keepRunsDays": 90, "schedule": "5 1 * * 0"})
    spec = recorded.one("CronJob", "main-db-clean").inputs["spec"]
    assert spec["schedule"] == "5 1 * * 0"
    assert spec["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["command"][2:] == clean_database(90)
    assert '--date="90 days ago"' in clean_database(90)[-1]
    assert "--error-on-cleanup-failure" in clean_database(90)[-1]
    assert "main-db-clean" not in with_airflow(housekeeping={"keepRunsDays": None}).of("CronJob")


def test_what_cleans_the_log_volume_has_the_volume_and_nothing_secret(local: Recording) -> None:
    spec = pods(local)["main-clean-logs:cron"]
    assert "secret" not in json.dumps(spec).lower()
    assert {"name": "logs", "persistentVolumeClaim": {"claimName": "logs"}} in spec["volumes"]
    assert spec["containers"][0]["command"][-2:] == ["/opt/airflow/logs", "90"]


def test_only_where_there_are_task_pods_are_they_removed() -> None:
    assert "main-clean-task-pods" not in with_airflow(executor="LocalExecutor").of("CronJob")


def test_a_pod_to_look_around_in_is_there_only_where_it_is_asked_for(local: Recording) -> None:
    assert "main-maintenance" not in local.of("Deployment")
    spec = with_airflow(maintenance=True).one("Deployment", "main-maintenance").inputs["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert container["command"][-2:] == ["sleep", "infinity"]
    assert container["resources"]["requests"] == {"cpu": "10m", "memory": "32Mi"}
    assert spec["template"]["metadata"]["labels"]["airflow-platform/database-client"] == "true"


def test_a_new_fernet_key_can_be_read_with_before_it_encrypts() -> None:
    steps = [
        ({}, ["0"], False),
        ({"fernetKey": 1}, ["0", "1"], False),
        ({"fernetKey": 1, "fernetKeyInUse": 1}, ["1", "0"], True),
        ({"fernetKey": 2, "fernetKeyInUse": 1}, ["1", "2", "0"], True),
        ({"fernetKey": 2, "fernetKeyInUse": 2}, ["2", "1", "0"], True),
    ]
    for rotations, order, reencrypts in steps:
        recorded = with_airflow(rotations=rotations)
        assert keys(recorded) == order, rotations
        assert ("main-rotate-fernet-key" in recorded.of("Job")) == reencrypts, rotations


def test_nothing_is_encrypted_anew_before_every_part_has_the_keys() -> None:
    recorded = with_airflow(rotations={"fernetKey": 1, "fernetKeyInUse": 1})
    parts = {"main-api-server-service", "main-scheduler", "main-dag-processor", "main-triggerer"}
    assert parts <= recorded.one("Job", "main-rotate-fernet-key").dependencies


def test_no_fernet_key_is_ever_removed_or_left_unprotected() -> None:
    def change(tree: Tree) -> None:
        tree["ephemeral"] = False
        tree["airflows"][0]["rotations"] = {"fernetKey": 2, "fernetKeyInUse": 2}

    made = deployed(change=change).of("RandomBytes")
    assert set(made) == {"main-fernet-key", "main-fernet-key-1", "main-fernet-key-2"}
    assert all(one.protect for one in made.values())


def test_mail_goes_through_a_connection_that_is_kept_like_the_others() -> None:
    def change(tree: Tree) -> None:
        tree["airflows"][0]["smtp"] = {"host": "mail.example.com", "user": "me", "sender": "airflow@example.com"}
        tree["secrets"] = {"main": {"smtpPassword": "hush"}}

    recorded = deployed(change=change)
    assert contents(recorded)["connections"] == {
        "smtp_default": {
            "type": "smtp",
            "host": "mail.example.com",
            "port": 587,
            "login": "me",
            "password": "hush",
            "extra": {"from_email": "airflow@example.com", "disable_ssl": True, "disable_tls": False},
        }
    }
    assert airflow_cfg(recorded)["email"]["from_email"] == "airflow@example.com"


def test_secret_manager_is_asked_by_components_alone_and_for_this_airflows_secrets_alone() -> None:
    recorded = deployed("prod", lambda tree: tree["airflows"][0].update(secretsBackend={"kind": "secret-manager"}))
    for name, spec in pods(recorded).items():
        env = {one["name"]: one.get("value") for one in spec["containers"][0].get("env", [])}
        is_component = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" in env
        assert ("AIRFLOW__SECRETS__BACKEND" in env) == is_component, name
        if is_component:
            assert json.loads(env["AIRFLOW__SECRETS__BACKEND_KWARGS"])["connections_prefix"] == (
                "airflow_prod_main_connections"
            )
    assert "secrets" not in airflow_cfg(recorded)
    grant = recorded.one("IAMMember", "main-airflow-secrets").inputs
    assert grant["role"] == "roles/secretmanager.secretAccessor"
    assert grant["member"] == "serviceAccount:prod-main-airflow@acme.iam.gserviceaccount.com"
    assert grant["condition"]["expression"] == (
        'resource.name.extract("secrets/{name}/versions/").startsWith("airflow_prod_main_")'
    )
