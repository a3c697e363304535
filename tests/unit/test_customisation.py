"""What an Airflow gets by hand: where it goes, and what is refused before anything is made."""

import configparser
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from infra.settings import SettingsError
from infra.settings.configuration_rules import DEFAULTS, OWNED
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, changed, deployed, settings, stack_config

COMPONENTS = {"main-api-server", "main-scheduler", "main-dag-processor", "main-triggerer"}
JOBS = {"main-migrate", "main-create-admin"}
SECRET = "s3cr3t-of-a-task"


def extra(**parts: object) -> Callable[[Tree], object]:
    """A change that gives the first Airflow ``extra``."""
    return lambda tree: tree["airflows"][0].update(extra=parts)


def everything(tree: Tree) -> None:
    extra(
        all={"env": {"TZ": "Europe/Vienna"}, "labels": {"cost-centre": "a-1"}},
        components={"annotations": {"example.com/scrape": "true"}},
        scheduler={"env": {"TZ": "UTC", "ONLY_SCHEDULER": "1"}},
        jobs={"volumes": {"ca": {"kind": "config-map", "name": "company-ca", "path": "/etc/company-ca"}}},
        task={
            "env": {"REGION": "eu"},
            "envFrom": {
                "API_TOKEN": {"kind": "secret"},
                "WAREHOUSE": {"kind": "existing-secret", "name": "warehouse", "key": "url"},
                "LIMIT": {"kind": "config-map", "name": "limits", "key": "rows"},
            },
            "volumes": {
                "scratch": {"kind": "empty-dir", "size": "10Gi", "path": "/mnt/scratch"},
                "models": {"kind": "claim", "name": "models", "path": "/mnt/models"},
                "keys": {"kind": "secret", "name": "keys", "path": "/mnt/keys"},
                "vault": {
                    "kind": "csi",
                    "driver": "secrets-store-gke.csi.k8s.io",
                    "attributes": {"secret_provider_class": "mine"},
                    "path": "/mnt/vault",
                },
            },
            "containers": {"audit": {"image": "registry.example.com/audit:1", "args": ["--quiet"]}},
        },
        config={"scheduler": {"parsing_cleanup_interval": "60"}, "core": {"load_examples": "True"}},
        airflowCfg="[core]\nparallelism = 7\nmax_active_tasks_per_dag = 5\n[logging]\nlog_format = %%(message)s\n",
    )(tree)
    tree["secrets"] = {"main": {"env": {"API_TOKEN": SECRET}}}


@pytest.fixture(scope="module")
def made() -> Recording:
    return deployed(change=everything)


@pytest.fixture(scope="module")
def plain() -> Recording:
    return deployed()


def template(recording: Recording, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {**recording.of("Deployment"), **recording.of("Job")}[name].inputs["spec"]["template"]
    return found


def task(recording: Recording) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(recording.one("ConfigMap", "main-config").inputs["data"]["pod-template.yaml"])
    return read


def env(pod: dict[str, Any]) -> dict[str, Any]:
    names = [one["name"] for one in pod["spec"]["containers"][0]["env"]]
    assert len(names) == len(set(names)), "a variable twice is refused by server-side apply"
    return {one["name"]: one.get("value") or one["valueFrom"] for one in pod["spec"]["containers"][0]["env"]}


def test_what_is_for_all_reaches_components_jobs_and_tasks_and_what_is_for_one_wins(made: Recording) -> None:
    zones = {name: env(template(made, name))["TZ"] for name in COMPONENTS | JOBS}
    assert zones.pop("main-scheduler") == "UTC"
    assert set(zones.values()) == {"Europe/Vienna"}
    assert env(task(made))["TZ"] == "Europe/Vienna"
    with_it = {name for name in COMPONENTS | JOBS if "ONLY_SCHEDULER" in env(template(made, name))}
    assert with_it == {"main-scheduler"}
    labels = [template(made, name)["metadata"]["labels"] for name in COMPONENTS | JOBS]
    assert {one["cost-centre"] for one in [*labels, task(made)["metadata"]["labels"]]} == {"a-1"}
    assert "example.com/scrape" not in task(made)["metadata"]["annotations"]
    assert template(made, "main-migrate")["metadata"]["annotations"]["example.com/scrape"] == "true"


def test_a_task_gets_values_from_where_they_are_kept_and_none_in_clear(made: Recording) -> None:
    given = env(task(made))
    assert given["REGION"] == "eu"
    assert given["API_TOKEN"] == {"secretKeyRef": {"name": "extra-env", "key": "API_TOKEN"}}
    assert given["WAREHOUSE"] == {"secretKeyRef": {"name": "warehouse", "key": "url"}}
    assert given["LIMIT"] == {"configMapKeyRef": {"name": "limits", "key": "rows"}}
    holders = [one.name for one in made.resources if SECRET in json.dumps(one.inputs)]
    assert holders == ["main-extra-env"]
    assert made.one("Secret", "main-extra-env").secret_paths


def test_a_new_secret_value_rolls_the_components(made: Recording) -> None:
    def other(tree: Tree) -> None:
        everything(tree)
        tree["secrets"]["main"]["env"]["API_TOKEN"] = "another"

    key, name = "checksum/extra-env", "main-scheduler"
    assert (
        template(made, name)["metadata"]["annotations"][key]
        != template(deployed(change=other), name)["metadata"]["annotations"][key]
    )


def test_volumes_reach_the_containers_of_their_part_only(made: Recording) -> None:
    spec = task(made)["spec"]
    volumes = {one["name"]: one for one in spec["volumes"]}
    assert volumes["extra-scratch"]["emptyDir"] == {"sizeLimit": "10Gi"}
    assert volumes["extra-models"]["persistentVolumeClaim"] == {"claimName": "models"}
    assert volumes["extra-keys"]["secret"] == {"secretName": "keys", "defaultMode": 0o440}
    assert volumes["extra-vault"]["csi"]["volumeAttributes"] == {"secret_provider_class": "mine"}
    mounts = {one["mountPath"]: one["readOnly"] for one in spec["containers"][0]["volumeMounts"]}
    assert mounts["/mnt/models"] is True
    assert mounts["/mnt/scratch"] is False
    with_ca = {
        name
        for name in COMPONENTS | JOBS
        if any(one["name"] == "extra-ca" for one in template(made, name)["spec"]["volumes"])
    }
    assert with_ca == JOBS


def test_a_sidecar_ends_with_the_task_and_is_as_restricted_as_every_container(made: Recording) -> None:
    spec = task(made)["spec"]
    assert [one["name"] for one in spec["containers"]] == ["base"]
    (sidecar,) = spec["initContainers"]
    assert sidecar["name"] == "audit"
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert sidecar["securityContext"]["allowPrivilegeEscalation"] is False
    assert set(sidecar["resources"]) == {"requests", "limits"}


def test_options_win_over_an_airflow_cfg_which_wins_over_defaults_but_not_over_what_is_the_platforms(
    made: Recording, plain: Recording
) -> None:
    def cfg(recording: Recording) -> configparser.ConfigParser:
        parser = configparser.ConfigParser()
        parser.read_string(recording.one("ConfigMap", "main-config").inputs["data"]["airflow.cfg"])
        return parser

    changed_cfg, before = cfg(made), cfg(plain)
    assert changed_cfg["scheduler"]["parsing_cleanup_interval"] == "60"
    assert changed_cfg["core"]["load_examples"] == "True"
    assert changed_cfg["core"]["max_active_tasks_per_dag"] == "5"
    assert changed_cfg["logging"]["log_format"] == "%(message)s"
    assert changed_cfg["core"]["parallelism"] == before["core"]["parallelism"] == "32"


@pytest.mark.parametrize("stack", ["local", "dev", "prod"])
def test_every_option_that_the_platform_sets_is_either_its_own_or_a_default(stack: str) -> None:
    """A new option in configuration.py: say in infra/settings/configuration_rules.py which of the two it is."""
    parser = configparser.RawConfigParser()
    parser.read_string(deployed(stack).one("ConfigMap", "main-config").inputs["data"]["airflow.cfg"])
    set_here = {(section, option) for section in parser.sections() for option in parser[section]}
    assert set_here - OWNED.keys() - DEFAULTS == set()


def part(**what: object) -> Callable[[Tree], object]:
    return extra(task=what)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (part(env={"DB_PASSWORD": "x"}), "airflows.main.extra.task.env.DB_PASSWORD: looks like a secret"),
        (part(env={"FEED": "https://me:pw@h/x"}), "extra.task.env.FEED: looks like a secret"),
        (part(env={"AIRFLOW_CONN_X": "http://h"}), "extra.task.env.AIRFLOW_CONN_X: looks like a secret"),
        (part(env={"AIRFLOW__SENTRY__SENTRY_DSN": "x"}), "AIRFLOW__SENTRY__SENTRY_DSN: looks like a secret"),
        (part(env={"AIRFLOW_CONFIG": "x"}), "extra.task.env.AIRFLOW_CONFIG: is the platform's own"),
        (part(env={"AIRFLOW__CORE__EXECUTOR": "x"}), "AIRFLOW__CORE__EXECUTOR: is the platform's own: use the setting"),
        (
            part(envFrom={"AIRFLOW__CORE__FERNET_KEY_CMD": {"kind": "secret"}}),
            "AIRFLOW__CORE__FERNET_KEY_CMD: is the platform's own: it belongs under secrets, as fernetKey",
        ),
        (part(env={"A-B": "x"}), "extra.task.env: 'A-B' is no name for a variable"),
        (part(env={"A": 1}), "extra.task.env.A: 1 must be a valid string"),
        (part(env={"A": "1"}, envFrom={"A": {"kind": "secret"}}), "extra.task.envFrom.A: stands under env too"),
        (
            part(envFrom={"A": {"kind": "secret"}}),
            "secrets.main.env.A: is missing, and airflows.main.extra.task.envFrom",
        ),
        (
            part(envFrom={"A": {"kind": "secret"}}),
            "pulumi config set --secret --path 'airflow-platform:secrets.main.env.A'",
        ),
        (
            part(envFrom={"A": {"kind": "existing-secret", "name": "database", "key": "connection"}}),
            "envFrom.A.name: 'database' holds keys of the platform",
        ),
        (part(volumes={"k": {"kind": "secret", "name": "airflow-keys", "path": "/k"}}), "'airflow-keys' holds keys"),
        (part(volumes={"h": {"kind": "host-path", "path": "/h"}}), 'volumes.h.kind: "host-path" must be one of'),
        (part(volumes={"x": {"kind": "empty-dir", "path": "/opt/airflow/platform/x"}}), "is in /opt/airflow/platform"),
        (part(volumes={"x": {"kind": "empty-dir", "path": "/opt"}}), "would hide /opt/airflow/platform"),
        (part(volumes={"x": {"kind": "empty-dir", "path": "/usr/lib"}}), "is in /usr, which is the system's"),
        (part(volumes={"x": {"kind": "empty-dir", "path": "/a/../b"}}), "has a part that is empty or only dots"),
        (part(volumes={"x": {"kind": "empty-dir", "path": "a"}}), 'volumes.x.path: "a" does not have the form'),
        (part(volumes={"X": {"kind": "empty-dir", "path": "/a"}}), "'X' is no name for a volume"),
        (
            extra(
                all={"volumes": {"a": {"kind": "empty-dir", "path": "/mnt/x"}}},
                task={"volumes": {"b": {"kind": "empty-dir", "path": "/mnt/x/"}}},
            ),
            "the volumes 'a' and 'b' are both at /mnt/x in the pods of task",
        ),
        (part(containers={"x": {"image": "a", "user": 0}}), "containers.x.image"),
        (
            part(containers={"x": {"image": "a/b", "user": 0}}),
            "containers.x.user: 0 must be greater than or equal to 1",
        ),
        (part(containers={"x": {"image": "a/b", "securityContext": {}}}), "containers.x.securityContext: unknown key"),
        (part(containers={"base": {"image": "a/b"}}), "containers.base: is the name of one of the platform's"),
        (
            part(containers={"x": {"image": "a/b", "resources": {"memory": "1Gi"}}}),
            "containers.x.resources.memoryLimit: 256Mi is less than memory, 1Gi",
        ),
        (part(containers={"x": {"image": "a/b", "env": {"MY_TOKEN": "x"}}}), "containers.x.env.MY_TOKEN: looks like"),
        (part(labels={"app.kubernetes.io/name": "x"}), "labels.app.kubernetes.io/name: is how pods are found"),
        (part(labels={"dag_id": "x"}), "labels.dag_id: is how pods are found"),
        (part(labels={"team": "a b"}), "labels.team: a label's value is at most 63"),
        (part(annotations={"checksum/config": "x"}), "annotations.checksum/config: is how pods are found"),
        (extra(tasks={}), "airflows.main.extra.tasks: unknown key. Did you mean 'task'?"),
        (
            extra(config={"core": {"executor": "x"}}),
            "extra.config.core.executor: is the platform's own: use the setting",
        ),
        (extra(config={"database": {"sql_alchemy_conn": "x"}}), "config.database.sql_alchemy_conn: is the platform's"),
        (extra(config={"smtp": {"smtp_password": "x"}}), "extra.config.smtp.smtp_password: looks like a secret"),
        (extra(config={"smtp": {"smtp_password": "x"}}), "set secrets.main.env.AIRFLOW__SMTP__SMTP_PASSWORD"),
        (extra(config={"core": {"load_examples": True}}), "config.core.load_examples: true must be a valid string"),
        (extra(config={"Core": {}}), "extra.config: 'Core' is no section"),
        (extra(airflowCfg="a = 1"), "extra.airflowCfg: is no airflow.cfg: line 1 stands before the first [section]"),
        (extra(airflowCfg="[core]\nx\n"), "extra.airflowCfg: is no airflow.cfg: line 2 is neither"),
        (extra(airflowCfg="[core]\na=1\na=2\n"), "airflowCfg: [core] a stands there twice"),
        (extra(airflowCfg="[core]\n[core]\n"), "airflowCfg: the section [core] stands there twice"),
        (extra(airflowCfg="[core]\na = 5%\n"), "airflowCfg: [core] a has a single '%'"),
        (extra(airflowCfg="[smtp]\nsmtp_password = x\n"), "airflowCfg [smtp] smtp_password: looks like a secret"),
        (lambda t: t.update(secrets={"main": {"env": {"A": "x"}}}), "secrets.main.env.A: nothing reads it"),
        (
            lambda t: (part(env={"A": "1"})(t), t["airflows"][0].update(executor="LocalExecutor")),
            "extra.task: tasks of this Airflow have no pods of their own",
        ),
    ],
)
def test_a_mistake_is_named_by_its_key_with_the_mend(change: Callable[[Tree], object], expected: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(changed(stack_config("local"), change))
    assert expected in str(refused.value)


def test_no_refusal_shows_a_value_that_may_be_secret() -> None:
    def wrong(tree: Tree) -> None:
        extra(
            task={"env": {"MY_TOKEN": SECRET, "FEED": f"https://me:{SECRET}@h"}},
            config={"smtp": {"smtp_password": SECRET}},
            airflowCfg=f"[smtp]\nsmtp_password = {SECRET}\n[api]\nsecret_key = {SECRET}\n",
        )(tree)
        tree["secrets"] = {"main": {"env": {"A": SECRET}}}

    with pytest.raises(SettingsError) as refused:
        settings(changed(stack_config("local"), wrong))
    assert str(refused.value).count("looks like a secret") == 5
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "env", [{"SSL_KEY_FILE": "/a"}, {"GOOGLE_APPLICATION_CREDENTIALS": "/a"}, {"KEY_COLUMN": "id"}, {"TOKENS_MAX": "5"}]
)
def test_a_name_that_only_sounds_like_a_secret_is_let_through(env: dict[str, str]) -> None:
    read = settings(changed(stack_config("local"), part(env=env)))
    assert read.airflows[0].extra.task.env == env


def test_on_google_cloud_a_sidecar_comes_pinned_from_the_organisations_registry() -> None:
    with pytest.raises(SettingsError) as refused:
        settings(changed(stack_config("prod"), part(containers={"x": {"image": "docker.io/a/b:1"}})))
    assert "containers.x.image: docker.io/a/b:1 is not in the organisation's registry" in str(refused.value)
    assert "containers.x.image: is not pinned" in str(refused.value)
