"""For the tests: a pod launched from a task of each executor, deferred or not, and one where no task may launch any."""

from datetime import timedelta

import pendulum
from airflow.configuration import conf
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import dag
from kubernetes.client import models as k8s

EXECUTORS = conf.get("core", "executor").split(",")
ASK = """
import base64, json, ssl, urllib.error, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount"
token, namespace = (open(f"{folder}/{name}").read() for name in ("token", "namespace"))
who = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["sub"]
trusted = ssl.create_default_context(cafile=f"{folder}/ca.crt")
request = urllib.request.Request(f"https://kubernetes.default.svc/api/v1/namespaces/{namespace}/secrets")
request.add_header("Authorization", f"Bearer {token}")
try:
    answer = urllib.request.urlopen(request, context=trusted, timeout=10).status
except urllib.error.HTTPError as error:
    answer = error.code
print("launched as", who, "may read secrets:", answer, flush=True)
"""


def launch(
    task_id: str, executor: str | None, namespace: str | None = None, *, deferred: bool = False
) -> KubernetesPodOperator:
    return KubernetesPodOperator(
        task_id=task_id,
        executor=executor,
        namespace=namespace,
        name=task_id.replace("_", "-").lower(),
        image="{{ dag_run.conf['image'] }}",
        cmds=["python", "-c"],
        arguments=[ASK],
        startup_timeout_seconds=120,
        deferrable=deferred,
        security_context=k8s.V1PodSecurityContext(
            run_as_non_root=True, run_as_user=50000, seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault")
        ),
        container_security_context=k8s.V1SecurityContext(
            allow_privilege_escalation=False, capabilities=k8s.V1Capabilities(drop=["ALL"])
        ),
    )


# A try that a busy machine did not even let begin says nothing.
AGAIN = {"owner": "tests", "retries": 2, "retry_delay": timedelta(seconds=1)}


@dag(
    dag_id="launches_pods",
    description="One pod from each executor of its Airflow.",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args=AGAIN,
)
def launches_pods() -> None:
    for executor in EXECUTORS:
        launch(f"from_{executor}", executor)


@dag(
    dag_id="launches_deferred",
    description="As launches_pods, with nobody but the triggerer waiting for the pods.",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args=AGAIN,
)
def launches_deferred() -> None:
    for executor in EXECUTORS:
        launch(f"from_{executor}", executor, deferred=True)


@dag(
    dag_id="launches_at_home",
    description="Asks for a pod in its Airflow's own namespace, which it must not get.",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"owner": "tests"},
)
def launches_at_home() -> None:
    for executor in EXECUTORS:
        launch(f"from_{executor}", executor, "{{ dag_run.conf['namespace'] }}")


launches_pods()
launches_deferred()
launches_at_home()
