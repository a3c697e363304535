"""A push or a published version is seen soon, and a run under way keeps its own; in this order, on one more Airflow."""

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from components.airflow.git_sync import LINK, NAME, ROOT
from ops.airflow_api import AirflowApi
from testbed.images.recipes import recipe_of
from testbed.object_store import BUCKET
from tests.cluster.delivered_dags import HALTS, HUNDRED, SYNCED
from tests.cluster.looks import run_in, wait_until
from tests.cluster.platform import Platform
from tests.cluster.stores import STORE_URL, Stores, key_pair

pytestmark = [pytest.mark.cluster, pytest.mark.long]
AIRFLOW = "delivery"
PERIOD = 10
SEEN_SECONDS = PERIOD + 10
git_sync = pytest.mark.skipif(
    recipe_of("git-sync") is None, reason="no registry here serves git-sync's image, and its program is not on PATH"
)


@pytest.fixture(scope="module")
def stores(platform: Platform) -> Iterator[Stores]:
    made = Stores(platform)
    made.start()
    yield made
    platform.change(lambda config: (config["airflows"].pop(), config["secrets"].pop(AIRFLOW, None)))
    platform.up()
    made.stop()


def delivers(platform: Platform, dags: dict[str, Any], secrets: dict[str, str] | None, **more: Any) -> None:
    """Have one more Airflow, whose DAGs come by ``dags``."""

    def change(config: dict[str, Any]) -> None:
        airflows = config["airflows"]
        airflows[:] = [one for one in airflows if one["name"] != AIRFLOW]
        image = {key: airflows[0]["dags"][key] for key in ("repository", "version")}
        airflows.append({**airflows[0], "name": AIRFLOW, "dags": {**image, **dags, "periodSeconds": PERIOD}, **more})
        given = config.setdefault("secrets", {})
        given.pop(AIRFLOW, None)
        if secrets:
            given[AIRFLOW] = secrets

    platform.change(change)


def version(api: AirflowApi) -> str:
    return str(api.get("/dags/pinned")["bundle_version"])


def said(api: AirflowApi, run_id: str) -> list[str]:
    """What the tasks of a run printed."""
    tasks = {task["task_id"]: task for task in api.tasks("pinned", run_id)}
    lines = [line for name in ("first", "second") for line in api.log("pinned", run_id, tasks[name])]
    return [line for line in lines if " says " in line]


def keeps_its_version(api: AirflowApi, before: str, change: Callable[[], str]) -> None:
    """A run that is under way while ``change`` brings a new version, which it returns, ends with the one of before."""
    api.wait_for_dag("pinned")
    wait_until(lambda: version(api) == before, 60, f"the DAG of version {before} is there")
    run_id = api.trigger("pinned")
    wait_until(
        lambda: {task["task_id"]: task["state"] for task in api.tasks("pinned", run_id)}.get("first") == "running",
        180,
        "the first task runs",
    )
    after = change()
    began = time.monotonic()
    wait_until(lambda: version(api) == after, SEEN_SECONDS, f"version {after} is seen")
    print(f"a change was seen after {time.monotonic() - began:.1f} s, looked for every {PERIOD} s")
    assert api.wait_for_run("pinned", run_id)["state"] == "success"
    assert api.get(f"/dags/pinned/dagRuns/{quote(run_id, safe='')}")["bundle_version"] == before
    assert [line.split()[-2:] for line in said(api, run_id)] == [["says", "one"], ["says", "one"]]
    later = api.trigger("pinned")
    assert api.wait_for_run("pinned", later)["state"] == "success"
    assert [line.split()[-2:] for line in said(api, later)] == [["says", "two"], ["says", "two"]]


def test_a_push_is_seen_soon_and_a_run_under_way_keeps_its_commit(platform: Platform, stores: Stores) -> None:
    first = stores.commit("one")
    stores.push()
    git = {"repository": stores.repository, "knownHosts": [stores.known_hosts]}
    delivers(platform, {"kind": "git-bundle", "git": git}, {"gitSshKey": stores.client_key})
    platform.up()

    def push() -> str:
        second = stores.commit("two")
        stores.push()
        return second

    with platform.airflow(AIRFLOW) as api:
        keeps_its_version(api, first, push)


def test_a_published_version_is_seen_soon_a_run_under_way_keeps_its_own_and_going_back_is_seen_soon(
    platform: Platform, stores: Stores
) -> None:
    def publish(tag: str) -> str:
        assert f"new runs get {tag}" in stores.ops("publish-dags", f"--airflow={AIRFLOW}", f"--folder={stores.dags}")
        return tag

    delivers(platform, {"kind": "artifact", "bucket": BUCKET, "endpoint": STORE_URL}, None)
    stores.check_out("one")
    publish("one")
    platform.up()
    with platform.airflow(AIRFLOW) as api:

        def next_version() -> str:
            stores.check_out("two")
            return publish("two")

        keeps_its_version(api, "one", next_version)
        stores.ops("rollback-dags", f"--airflow={AIRFLOW}", "--version=one")
        wait_until(lambda: version(api) == "one", SEEN_SECONDS, "going back is seen")


def synced(stores: Stores, word: str) -> None:
    """Push DAGs that say ``word`` to the branch that git-sync follows."""
    stores.check_out("main")
    stores.dags.mkdir(parents=True, exist_ok=True)
    (stores.dags / "synced.py").write_text(SYNCED)
    stores.commit(word)
    stores.push("main:live")


def says(api: AirflowApi, dag_id: str) -> str:
    """What the task of a new run says, which ends well."""
    run_id = api.trigger(dag_id)
    assert api.wait_for_run(dag_id, run_id)["state"] == "success"
    (task,) = api.tasks(dag_id, run_id)
    (line,) = [line for line in api.log(dag_id, run_id, task) if "it says" in line]
    return line.split()[-1]


def is_seen(platform: Platform, api: AirflowApi, word: str, seconds: float = SEEN_SECONDS) -> None:
    """A push of ``word`` is seen in time by the dag-processor, and by the scheduler, whose copy is another one."""
    began = time.monotonic()
    wait_until(lambda: api.get("/dags/synced")["description"] == word, seconds, f"the push of {word} is seen")
    parsed = time.monotonic()
    left = max(1.0, seconds - (parsed - began))
    wait_until(lambda: word in copied(platform), left, f"the scheduler has the push of {word}")
    took = time.monotonic() - began
    print(f"git-sync: a push was parsed after {parsed - began:.1f} s, and in the scheduler's copy after {took:.1f} s")


def copied(platform: Platform) -> str:
    """What the tasks of the LocalExecutor import."""
    words = f"{ROOT}/{LINK}/dags/shared/words.py"
    return run_in(platform, "scheduler", ["cat", words], f"airflow-{AIRFLOW}")


def logs_of_git_sync(platform: Platform) -> str:
    view = platform.view()
    pods = [pod.metadata.name for pod in view.pods() if pod.metadata.namespace == f"airflow-{AIRFLOW}"]
    return "".join(view.log(f"airflow-{AIRFLOW}", pod, NAME, 3600) for pod in pods)


def restarts_of_git_sync(platform: Platform) -> set[int]:
    pods = [pod for pod in platform.view().pods() if pod.metadata.namespace == f"airflow-{AIRFLOW}"]
    sidecars = [one for pod in pods for one in pod.status.init_container_statuses or [] if one.name == NAME]
    return {one.restart_count for one in sidecars}


def states(api: AirflowApi, run_id: str) -> dict[str, str | None]:
    return {task["task_id"]: task["state"] for task in api.tasks("halts", run_id)}


def status_says(platform: Platform, text: str, seconds: float = 90) -> None:
    heard: list[str] = []

    def says_it() -> bool:
        said, _ = platform.command("status").communicate(timeout=120)
        heard[:] = [line for line in said.splitlines() if "wrong:" in line]
        return any(text in line for line in heard)

    began = time.monotonic()
    try:
        wait_until(says_it, seconds, f"make status says {text!r}")
    except AssertionError as error:
        raise AssertionError(f"{error}; it said {heard}") from None
    print(f"make status said {text!r} after {time.monotonic() - began:.0f} s")


WITH_PODS = {"executor": ["LocalExecutor", "KubernetesExecutor"]}


@git_sync
def test_git_sync_over_ssh_brings_a_push_in_time_to_the_scheduler_and_to_tasks_in_pods(
    platform: Platform, stores: Stores
) -> None:
    synced(stores, "three")
    git = {"repository": stores.repository, "knownHosts": [stores.known_hosts], "ref": "live"}
    delivers(platform, {"kind": "git-sync", "git": git}, {"gitSshKey": stores.client_key}, **WITH_PODS)
    platform.up()
    with platform.airflow(AIRFLOW) as api:
        api.wait_for_dag("synced")
        assert says(api, "synced") == "three"
        assert says(api, "synced_pod") == "three"
        synced(stores, "four")
        is_seen(platform, api, "four")
        assert says(api, "synced") == "four"
        assert says(api, "synced_pod") == "four"


@git_sync
def test_a_file_that_breaks_halts_its_own_dags_until_it_is_mended_and_a_hundred_others_go_on(
    platform: Platform, stores: Stores
) -> None:
    def push(word: str, **files: str | None) -> None:
        stores.check_out("main")
        for name, text in files.items():
            file = stores.dags / f"{name}.py"
            file.unlink(missing_ok=True) if text is None else file.write_text(text)
        synced(stores, word)
        is_seen(platform, api, word, 90)  # so many DAGs take their time

    def good(which: str) -> int:
        return int(api.get(f"/dags/~/dagRuns?dag_id_prefix_pattern=good_&limit=1{which}")["total_entries"])

    with platform.airflow(AIRFLOW) as api:
        push("good", halts=HALTS, hundred=HUNDRED)
        api.wait_for_dag("halts")
        api.wait_for_dag("good_099")
        run_id = api.trigger("halts")
        wait_until(lambda: states(api, run_id)["first"] == "running", 60, "its first task runs")
        push("bad", halts=HALTS + "\ndef (:\n")
        status_says(platform, "the DAG file halts.py does not import: SyntaxError")
        assert api.get("/dags/halts")["is_stale"]
        # The task that runs ends well; what comes after it waits for the file, and nothing fails.
        api.post("/variables", {"key": "go_on", "value": "yes"})
        wait_until(lambda: states(api, run_id)["first"] == "success", 60, "the task that ran ends")
        assert says(api, "synced") == "bad"
        assert good("") == 0
        api.patch("/dags?dag_id_pattern=good_", {"is_paused": False})
        wait_until(lambda: good("&state=success") == 100, 300, "a run of each of the hundred others ends well")
        assert states(api, run_id) == {"first": "success", "second": None}
        assert api.run("halts", run_id)["state"] == "running"
        push("mended", halts=HALTS)
        assert api.wait_for_run("halts", run_id)["state"] == "success"
        assert {task["try_number"] for task in api.tasks("halts", run_id)} == {1}
        push("none", halts=None, hundred=None)


@git_sync
def test_a_repository_that_gives_nothing_new_is_explained_and_dags_that_are_there_go_on(
    platform: Platform, stores: Stores
) -> None:
    with platform.airflow(AIRFLOW) as api:
        stores.push(":live")
        status_says(platform, "the repository has no live. Mend: correct ref in airflows.delivery.dags.git")
        assert says(api, "synced") == "none"
        stores.push("main:live")

        stores.change_keys(authorized=key_pair()[1])
        status_says(platform, "the server refuses the ssh key. Mend:")
        stores.change_keys(host=key_pair()[0])
        stores.restart()
        status_says(platform, "the server's key is none of those that are known. Mend: compare knownHosts")
        assert says(api, "synced") == "none"
        stores.change_keys()
        stores.restart()

        with stores.unreachable():
            status_says(platform, "the server can't be reached. Mend:")
            assert says(api, "synced") == "none"
        synced(stores, "seven")
        wait_until(lambda: api.get("/dags/synced")["description"] == "seven", 90, "git-sync has found back")
    assert restarts_of_git_sync(platform) == {0}, "looks that fail make no pod unready"


@git_sync
def test_git_sync_over_https_takes_a_token_and_the_authority_that_is_given(platform: Platform, stores: Stores) -> None:
    git = {"repository": stores.https_repository, "ref": "live"}
    dags = {"kind": "git-sync", "git": git, "caCertificates": stores.authority}
    synced(stores, "eight")
    delivers(platform, dags, {"gitToken": stores.token}, **WITH_PODS)
    platform.up()
    with platform.airflow(AIRFLOW) as api:
        api.wait_for_dag("synced")
        synced(stores, "nine")
        is_seen(platform, api, "nine")
    logs = logs_of_git_sync(platform)
    assert "https://" in logs
    assert stores.token not in logs
