"""When the Kubernetes stand-in takes an object for ready, and what it says of pods that never get there."""

from typing import Any

import pytest

from testbed.engine.kubernetes import diagnosis
from testbed.engine.kubernetes.diagnosis import Container, Problem
from testbed.engine.kubernetes.readiness import Related, assess
from testbed.engine.kubernetes.rules import rules
from testbed.engine.kubernetes.waiting import errors_as_failures, wait_for
from testbed.engine.values import Properties
from testbed.progress import Failure

LIMITS = rules().stand_in


def obj(api_version: str, kind: str, spec: Properties | None = None, **status: Any) -> Properties:
    metadata = {"name": "n", "namespace": "ns", "generation": 2, "uid": "u"}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec or {}, "status": status}


def condition(kind: str, status: str = "True", **more: str) -> Properties:
    return {"type": kind, "status": status, **more}


def deployment(observed: int, *conditions: Properties) -> Properties:
    live = obj("apps/v1", "Deployment", {"replicas": 2}, observedGeneration=observed, conditions=list(conditions))
    live["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "3"}
    return live


def replica_set(revision: str, ready: int) -> Properties:
    made = obj("apps/v1", "ReplicaSet", {"replicas": 2}, readyReplicas=ready)
    made["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": revision}
    return made


AVAILABLE = (condition("Progressing", reason="NewReplicaSetAvailable"), condition("Available"))


def test_a_deployment_is_ready_when_its_new_replica_set_is() -> None:
    assert assess(deployment(2, *AVAILABLE), Related(replica_sets=(replica_set("3", 2),))).state == "ready"


def test_a_deployment_whose_old_replicas_still_serve_is_not_ready() -> None:
    found = assess(deployment(2, *AVAILABLE), Related(replica_sets=(replica_set("2", 2), replica_set("3", 1))))
    assert found.state == "waiting"
    assert "1/2" in found.message


def test_a_deployment_that_its_controller_has_not_seen_is_not_ready() -> None:
    assert assess(deployment(1, *AVAILABLE), Related(replica_sets=(replica_set("3", 2),))).state == "waiting"


def test_a_deployment_past_its_deadline_has_failed() -> None:
    late = condition("Progressing", "False", reason="ProgressDeadlineExceeded", message="it timed out")
    found = assess(deployment(2, late), Related(replica_sets=(replica_set("3", 0),)))
    assert found.state == "failed"
    assert "it timed out" in found.message


def stateful_set(**status: Any) -> Properties:
    counts = {"observedGeneration": 2, "replicas": 2, "readyReplicas": 2, "currentReplicas": 2}
    return obj("apps/v1", "StatefulSet", {"replicas": 2}, **{**counts, **status})


def test_a_stateful_set_is_ready_when_all_replicas_run_the_new_revision() -> None:
    assert assess(stateful_set(currentRevision="b", updateRevision="b")).state == "ready"
    rolling = assess(stateful_set(currentRevision="a", updateRevision="b", updatedReplicas=1))
    assert (rolling.state, "1/2" in rolling.message) == ("waiting", True)


@pytest.mark.parametrize(
    ("conditions", "state"),
    [
        ([condition("Complete")], "ready"),
        ([condition("Failed", reason="BackoffLimitExceeded")], "failed"),
        ([], "waiting"),
    ],
)
def test_a_job_is_ready_when_complete(conditions: list[Properties], state: str) -> None:
    assert assess(obj("batch/v1", "Job", conditions=conditions)).state == state


@pytest.mark.parametrize(
    ("spec", "endpoints", "state"),
    [
        ({"clusterIP": "None", "selector": {"a": "b"}}, None, "ready"),
        ({"clusterIP": "10.0.0.1"}, None, "ready"),
        ({"type": "ExternalName", "selector": {"a": "b"}}, None, "ready"),
        ({"selector": {"a": "b"}}, None, "waiting"),
        ({"selector": {"a": "b"}}, {"subsets": [{"notReadyAddresses": [{"ip": "1"}]}]}, "waiting"),
        ({"selector": {"a": "b"}}, {"subsets": [{"addresses": [{"ip": "1"}]}]}, "ready"),
        ({"type": "LoadBalancer", "selector": {"a": "b"}}, {"subsets": []}, "waiting"),
    ],
)
def test_a_service_is_ready_when_no_pod_of_it_is_pending(
    spec: Properties, endpoints: Properties | None, state: str
) -> None:
    assert assess(obj("v1", "Service", spec), Related(endpoints=endpoints, endpoints_settled=True)).state == state


@pytest.mark.parametrize(
    ("phase", "mode", "state"),
    [
        ("Bound", "Immediate", "ready"),
        ("Pending", "WaitForFirstConsumer", "ready"),
        ("Pending", "Immediate", "waiting"),
        ("Lost", "Immediate", "failed"),
    ],
)
def test_a_claim_that_waits_for_its_first_consumer_is_not_waited_for(phase: str, mode: str, state: str) -> None:
    assert assess(obj("v1", "PersistentVolumeClaim", phase=phase), Related(binding_mode=mode)).state == state


def test_an_ingress_waits_for_its_services_and_its_address() -> None:
    path = {"backend": {"service": {"name": "web"}}}
    spec = {"rules": [{"http": {"paths": [path]}}]}
    address = {"loadBalancer": {"ingress": [{"ip": "1"}]}}
    ready = obj("networking.k8s.io/v1", "Ingress", spec, **address)
    assert assess(ready, Related(services=("web",))).state == "ready"
    assert "web" in assess(ready, Related(services=())).message
    assert assess(obj("networking.k8s.io/v1", "Ingress", spec), Related(services=("web",))).state == "waiting"


@pytest.mark.parametrize("kind", ["ConfigMap", "Namespace", "ServiceAccount", "Secret", "LimitRange"])
def test_other_kinds_are_ready_at_once(kind: str) -> None:
    assert assess(obj("v1", kind)).state == "ready"


@pytest.mark.parametrize(
    ("expression", "state"),
    [
        ("condition=Synced", "ready"),
        ("condition=Synced=False", "waiting"),
        ("jsonpath={.status.phase}=Running", "ready"),
        ("jsonpath={.status.list[1].a}=x", "ready"),
        ("jsonpath={.status.list[*].a}=x", "ready"),
        ("jsonpath={.status.nothing}", "waiting"),
        ('["condition=Synced", "jsonpath={.status.phase}=Off"]', "waiting"),
    ],
)
def test_the_annotation_wait_for_is_understood(expression: str, state: str) -> None:
    live = obj("e/v1", "Thing", phase="Running", conditions=[condition("Synced")], list=[{"a": "w"}, {"a": "x"}])
    assert wait_for(live, expression).state == state


def test_an_expression_that_is_not_understood_is_refused() -> None:
    with pytest.raises(Failure, match="waitFor"):
        wait_for(obj("v1", "Pod"), "jsonpath={range .items[*]}{.a}{end}")


def pod(status: Properties) -> Properties:
    return {"metadata": {"name": "api-0", "namespace": "ns"}, "status": {"phase": "Pending", **status}}


def waiting(reason: str, message: str = "", **status: Any) -> Properties:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod({"containerStatuses": [{"name": "api", "image": "reg/app:1", "state": state, **status}]})


def only(problems: list[Problem]) -> Problem:
    (problem,) = problems
    return problem


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"])
def test_an_image_that_cannot_be_pulled_is_named_and_given_up_after_a_minute(reason: str) -> None:
    problem = only(diagnosis.pod_problems(waiting(reason, "not found"), [], LIMITS))
    assert "container api of pod api-0 cannot pull image reg/app:1" in problem.text
    assert "not found" in problem.text
    assert problem.fail_after == 60


def test_a_missing_secret_is_named() -> None:
    problem = only(diagnosis.pod_problems(waiting("CreateContainerConfigError", 'secret "x" not found'), [], LIMITS))
    assert 'secret "x" not found' in problem.text


def crashing(restarts: int) -> Problem:
    last = {"terminated": {"reason": "Error", "exitCode": 3}}
    found = waiting("CrashLoopBackOff", restartCount=restarts, lastState=last)
    return only(diagnosis.pod_problems(found, [], LIMITS))


def test_a_crash_loop_is_given_up_at_the_third_restart_with_its_last_end() -> None:
    assert crashing(2).fail_after is None
    assert crashing(3).fail_after == 0
    assert "Error, exit code 3" in crashing(3).text


def test_the_end_of_its_log_is_shown_at_most_20_lines() -> None:
    log = "\n".join(f"line {number}" for number in range(50))
    (text,) = diagnosis.with_logs([crashing(3)], {Container("ns", "api-0", "api", previous=True): log})
    assert "line 49" in text
    assert "line 30" in text
    assert "line 29" not in text


def test_a_failing_init_container_is_reported_too() -> None:
    status = {"name": "migrate", "state": {"waiting": {"reason": "ImagePullBackOff"}}, "image": "i"}
    assert (
        "container migrate" in only(diagnosis.pod_problems(pod({"initContainerStatuses": [status]}), [], LIMITS)).text
    )


def test_a_pod_that_fits_nowhere_shows_the_schedulers_words() -> None:
    words = "0/1 nodes are available: 1 Insufficient cpu."
    found = pod({"conditions": [condition("PodScheduled", "False", reason="Unschedulable", message=words)]})
    assert words in only(diagnosis.pod_problems(found, [], LIMITS)).text


def test_a_volume_that_does_not_mount_shows_the_last_event() -> None:
    events = [
        {"reason": "FailedMount", "message": "old", "lastTimestamp": "2026-01-01T00:00:00Z"},
        {"reason": "FailedMount", "message": 'configmap "c" not found', "lastTimestamp": "2026-01-01T00:01:00Z"},
        {"reason": "Scheduled", "message": "fine", "lastTimestamp": "2026-01-01T00:02:00Z"},
    ]
    assert 'configmap "c" not found' in only(diagnosis.pod_problems(waiting("ContainerCreating"), events, LIMITS)).text


def test_a_quota_that_forbids_pods_is_named() -> None:
    refused = condition("ReplicaFailure", reason="FailedCreate", message="pods is forbidden: exceeded quota: q")
    owner = obj("apps/v1", "ReplicaSet", conditions=[refused])
    problem = only(diagnosis.owner_problems(owner, [], LIMITS))
    assert "exceeded quota" in problem.text
    assert "ResourceQuota" in problem.mend


def test_a_healthy_pod_has_no_problem() -> None:
    running = {"name": "api", "ready": True, "restartCount": 4, "state": {"running": {}}}
    assert diagnosis.pod_problems(pod({"containerStatuses": [running]}), [], LIMITS) == []


def test_a_container_that_is_being_created_has_no_problem() -> None:
    assert diagnosis.pod_problems(waiting("ContainerCreating"), [], LIMITS) == []


def test_a_refusal_of_the_server_says_what_to_do() -> None:
    from testbed.engine.kubernetes.api import ApiError

    failure = errors_as_failures(ApiError(409, "Conflict", "conflict with kubectl"), "deployment/ns/n")
    assert "deployment/ns/n" in str(failure)
    assert "patchForce" in str(failure)
