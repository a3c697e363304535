"""Why DAGs don't come from their git repository: what git-sync and Airflow's git bundle say about it, in plain words.

Both go on with the DAGs that they have, so nothing in the cluster is broken that Kubernetes would show.
"""

import json
import re
from collections import defaultdict
from typing import Any

from components.airflow.dags import BUNDLE
from components.airflow.git_sync import NAME
from infra.settings import AirflowSettings
from infra.settings.dags import GitBundleDags, GitSyncDags
from ops.cluster_view import ClusterView
from ops.target import Target

SLACK_SECONDS = 150
"""How much longer than its period a look may take: git-sync gives up after two minutes (``--sync-timeout``)."""
MOST_CHARACTERS = 300
DAG_PROCESSOR = "dag-processor"
_KNOWN = (
    (
        r"host key verification failed",
        "the server's key is none of those that are known",
        "compare knownHosts in {git} with the keys that the server's owner publishes",
    ),
    (
        r"permission denied \(|could not read from remote repository.*permission|access denied",
        "the server refuses the ssh key",
        "set a key that may read the repository with: {set} 'airflow-platform:secrets.{name}.gitSshKey'",
    ),
    (
        r"authentication failed|could not read username|could not read password|invalid credentials|error: 40[13]",
        "the server refuses the login",
        "set one that may read the repository with: {set} 'airflow-platform:secrets.{name}.{login}'",
    ),
    (
        r"couldn't find remote ref|remote branch .* not found|did not match any|unknown revision",
        "the repository has no {ref}",
        "correct ref in {git}, or push it",
    ),
    (
        r"certificate",
        "the server's certificate is signed by nobody who is known",
        "give the authority's certificate as caCertificates beside {git} (kind 'git-sync'), or mend the server's",
    ),
    (
        r"could not resolve|connection refused|couldn't connect|failed to connect|timed? ?out|connection closed"
        r"|connection reset|no route to host|network is unreachable",
        "the server can't be reached",
        "see that it answers and that network policies let it through, and correct repository in {git}",
    ),
    (
        r"repository .*not found|not appear to be a git repository|no such file or directory",
        "the server has no such repository, or does not show it to this login",
        "correct repository in {git}, or give the login the right to read it",
    ),
)
"""What git and ssh say (in this order: the last line of a refused key says that the repository could not be read)."""


def repository_problems(chosen: Target, view: ClusterView, pods: list[Any]) -> list[str]:
    """A line for each reason for which an Airflow does not get the newest DAGs, with the pods that say so."""
    found: list[str] = []
    for airflow in chosen.settings.airflows:
        match airflow.dags:
            case GitSyncDags(period_seconds=period):
                container, reader = NAME, last_error_of_git_sync
            case GitBundleDags(period_seconds=period):
                container, reader = DAG_PROCESSOR, last_error_of_bundle
            case _:
                continue
        namespace = f"airflow-{airflow.name}"
        by_reason: dict[str, list[str]] = defaultdict(list)
        for pod in pods:
            if pod.metadata.namespace == namespace and _works(pod, container):
                said = reader(view.log(namespace, pod.metadata.name, container, period + SLACK_SECONDS))
                if said:
                    by_reason[explain(airflow, said)].append(pod.metadata.name)
        found += [f"{namespace}: {reason} (said by {', '.join(names)})" for reason, names in by_reason.items()]
    return found


def _works(pod: Any, container: str) -> bool:
    """Whether the pod has the container, and it has not done its work yet: an init container of a task ends."""
    statuses = [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]
    for one in statuses:
        if one.name == container:
            ended = one.state.terminated
            return ended is None or ended.exit_code != 0
    return False


def last_error_of_git_sync(log: str) -> str | None:
    """The error of its latest look, None if that went well. Its log is JSON, a line an event."""
    error = None
    for line in log.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if "error" in event or "err" in event:
            error = str(event.get("error") or event.get("err"))
        elif event.get("msg") == "updated successfully":
            error = None
    return error


def last_error_of_bundle(log: str) -> str | None:
    """What the dag-processor says of its latest look at the repository, None if that went well."""
    latest = log.rpartition(f"Refreshing bundle {BUNDLE}")[2]
    found = re.search(rf"Error (initializing|refreshing) bundle {BUNDLE}.*", latest, re.DOTALL)
    return found[0] if found else None


def explain(airflow: AirflowSettings, said: str) -> str:
    """What is wrong and how to mend it, of what git said; what is not known stays in git's words."""
    assert isinstance(airflow.dags, GitSyncDags | GitBundleDags)
    places = {
        "git": f"airflows.{airflow.name}.dags.git",
        "name": airflow.name,
        "ref": airflow.dags.git.ref,
        "login": "githubAppKey" if isinstance(airflow.dags, GitSyncDags) and airflow.dags.github_app else "gitToken",
        "set": "pulumi config set --secret --path",
    }
    for pattern, what, mend in _KNOWN:
        if re.search(pattern, said, re.IGNORECASE | re.DOTALL):
            return f"no new DAGs: {what.format(**places)}. Mend: {mend.format(**places)}"
    words = re.search(r'stderr: "(.*?)" ?\}', said, re.DOTALL)
    text = " ".join((words[1] if words else said).replace("\\n", " ").split())
    return f"no new DAGs: git said: {text[:MOST_CHARACTERS]}"
