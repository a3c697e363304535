"""The Job that migrates: what it may do, where its dump goes, when it is not tried again."""

from typing import Any

import pytest

from components.airflow.migration import PARTS, REFUSED
from tests.unit.recorder import Recording
from tests.unit.stack_files import deployed

Tree = dict[str, Any]


def job_spec(recording: Recording) -> Tree:
    return recording.one("Job", "main-migrate").inputs["spec"]


def pod_spec(recording: Recording) -> Tree:
    return job_spec(recording)["template"]["spec"]


def environment(container: Tree) -> dict[str, Any]:
    return {one["name"]: one.get("value") for one in container["env"]}


@pytest.mark.parametrize("stack", ["local", "dev", "prod"])
def test_its_account_scales_three_parts_lists_pods_and_may_do_nothing_else(stack: str) -> None:
    recording = deployed(stack)
    assert pod_spec(recording)["serviceAccountName"] == "migrate"
    bound = {
        r.inputs["roleRef"]["name"]
        for r in recording.of("RoleBinding").values()
        if r.inputs["metadata"]["namespace"] == "airflow-main"
        for subject in r.inputs["subjects"]
        if subject["name"] == "migrate"
    }
    assert bound == {"migrate"}
    assert recording.one("Role", "main-migrate").inputs["rules"] == [
        {
            "apiGroups": ["apps"],
            "resources": ["deployments/scale"],
            "resourceNames": list(PARTS),
            "verbs": ["get", "patch"],
        },
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    ]


def test_what_it_stops_comes_back_with_the_next_change_whoever_scaled_it() -> None:
    recording = deployed("prod")
    for part in PARTS:
        made = recording.one("Deployment", f"main-{part}").inputs
        assert made["metadata"]["annotations"]["pulumi.com/patchForce"] == "true"
        assert made["spec"]["replicas"] >= 1
        assert "main-migrate" in recording.one("Deployment", f"main-{part}").dependencies


def test_the_dump_goes_into_the_bucket_where_there_is_one_and_onto_a_volume_elsewhere() -> None:
    local, prod = deployed("local"), deployed("prod")
    (on_prod,), (on_local,) = pod_spec(prod)["containers"], pod_spec(local)["containers"]
    assert environment(on_prod)["BACKUP_BUCKET"] == prod.one("Bucket", "main-bucket").inputs["name"]
    assert "BACKUP_BUCKET" not in environment(on_local)
    assert set(local.of("PersistentVolumeClaim")) >= {"main-backups"}
    assert "main-backups" not in prod.of("PersistentVolumeClaim")
    by_name = {volume["name"]: volume for volume in pod_spec(local)["volumes"]}
    assert by_name["backups"]["persistentVolumeClaim"] == {"claimName": "backups"}


def test_what_dumps_runs_beside_it_has_the_password_from_the_secret_and_ends_with_it() -> None:
    dump = next(one for one in pod_spec(deployed("prod"))["initContainers"] if one["name"] == "dump")
    assert dump["restartPolicy"] == "Always"
    (password,) = [one for one in dump["env"] if one["name"] == "PGPASSWORD"]
    assert password["valueFrom"]["secretKeyRef"] == {"name": "database", "key": "password"}
    assert "trap 'exit 0' TERM INT" in dump["command"][-1]


def test_what_was_refused_is_not_tried_again() -> None:
    (rule,) = job_spec(deployed("local"))["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"] == {"containerName": "migrate", "operator": "In", "values": [REFUSED]}


def test_it_waits_as_long_as_the_scheduler_takes_to_end() -> None:
    local = deployed(change=lambda tree: tree["airflows"][0].update(executor="LocalExecutor"))
    grace = local.one("Deployment", "main-scheduler").inputs["spec"]["template"]["spec"][
        "terminationGracePeriodSeconds"
    ]
    (container,) = pod_spec(local)["containers"]
    assert int(environment(container)["STOP_SECONDS"]) > grace
