"""Talks to an Airflow through its public REST API, as any client would: log in, trigger, wait, read logs."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from ops.door import Door
from testbed.progress import Failure

POLL_SECONDS = 1.0
ANSWER_SECONDS = 30.0
NOT_FOUND = 404
SERVER_ERROR = 500
PATIENCE_SECONDS = 60.0
"""Who waits for something minds no answer, and no 502 of a way in whose api-server is not ready, for as long."""
FINISHED = ("success", "failed")


class AirflowApi:
    """A session at a door, or a plain ``url`` (no slash at the end), with the token that the password gets."""

    def __init__(self, url: str | Door, username: str, password: str) -> None:
        self._door = url if isinstance(url, Door) else Door(url)
        self.url = self._door.url
        self._token = ""
        self._credentials = {"username": username, "password": password}

    def log_in(self, deadline_seconds: float = 60) -> None:
        """Get a token. Waits for an api-server that is only just starting; refuses wrong credentials at once."""
        end = time.monotonic() + deadline_seconds
        while True:
            try:
                self._token = self._request("POST", "/auth/token", self._credentials)["access_token"]
            except urllib.error.HTTPError as error:
                if error.code in {401, 403}:
                    raise Failure(
                        f"Airflow at {self.url} does not accept the password of {self._credentials['username']}.\n"
                        "Mend: if it was changed by hand, raise rotations.adminPassword in the stack file and run up."
                    ) from None
                problem: Exception = error
            except OSError as error:
                problem = error
            else:
                return
            if time.monotonic() > end:
                raise Failure(
                    f"Airflow at {self.url} does not answer after {deadline_seconds:.0f} s ({problem}).\n"
                    "Mend: `make status` says which part is not well."
                )
            time.sleep(POLL_SECONDS)

    def get(self, path: str, patience_seconds: float = 0) -> Any:
        """The JSON at ``/api/v2`` + ``path``. An api-server that has heard and is too busy to answer is asked again.

        ``patience_seconds``: for as long it is asked whatever it does, as long as it does not say no.
        """
        end = time.monotonic() + patience_seconds
        asked = 0
        while True:
            asked += 1
            try:
                return self._request("GET", f"/api/v2{path}")
            except OSError as error:
                refused = isinstance(error, urllib.error.HTTPError) and error.code < SERVER_ERROR
                heard = isinstance(error, TimeoutError) and asked == 1
                if refused or not (heard or time.monotonic() < end):
                    raise
            if patience_seconds:
                time.sleep(POLL_SECONDS)

    def post(self, path: str, body: Any) -> Any:
        """What posting ``body`` to ``/api/v2`` + ``path`` returns."""
        return self._request("POST", f"/api/v2{path}", body)

    def patch(self, path: str, body: Any) -> Any:
        """What patching ``/api/v2`` + ``path`` returns."""
        return self._request("PATCH", f"/api/v2{path}", body)

    def put(self, path: str) -> Any:
        """What putting nothing to ``/api/v2`` + ``path`` returns."""
        return self._request("PUT", f"/api/v2{path}")

    def delete(self, path: str) -> None:
        """Take away what is at ``/api/v2`` + ``path``."""
        self._request("DELETE", f"/api/v2{path}")

    def import_errors(self) -> dict[str, str]:
        """The DAG files that do not import, with the end of their traceback."""
        found = self.get("/importErrors")["import_errors"]
        return {error["filename"]: error["stack_trace"].strip().splitlines()[-1] for error in found}

    def wait_for_dag(self, dag_id: str, deadline_seconds: float = 120) -> None:
        """Until the dag-processor has read the DAG. Says so if its file does not import."""
        end = time.monotonic() + deadline_seconds
        while dag_id not in {dag["dag_id"] for dag in self.get("/dags?limit=1000", PATIENCE_SECONDS)["dags"]}:
            errors = self.import_errors()
            if errors or time.monotonic() > end:
                listed = "".join(f"\n  - {file}: {error}" for file, error in errors.items())
                raise Failure(
                    f"Airflow at {self.url} has no DAG '{dag_id}'"
                    + (f"; these files do not import:{listed}" if errors else f" after {deadline_seconds:.0f} s")
                    + "\nMend: correct the DAG and run the command again; `make test-dags` finds such errors first."
                )
            time.sleep(POLL_SECONDS)

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Unpause the DAG and start a run; returns the run's id."""
        self.patch(f"/dags/{dag_id}", {"is_paused": False})
        body: dict[str, Any] = {"logical_date": None}
        if conf:
            body["conf"] = conf
        return str(self.post(f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def run(self, dag_id: str, run_id: str, patience_seconds: float = 0) -> dict[str, Any]:
        """The DAG run as the API describes it."""
        found: dict[str, Any] = self.get(f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}", patience_seconds)
        return found

    def latest_run(self, dag_id: str) -> dict[str, Any] | None:
        """The DAG's most recent run that has ended; None where there is none, or no such DAG."""
        try:
            runs = self.get(f"/dags/{dag_id}/dagRuns?order_by=-run_after&limit=10")["dag_runs"]
        except urllib.error.HTTPError as error:
            if error.code == NOT_FOUND:
                return None
            raise
        return next((run for run in runs if run["state"] in FINISHED), None)

    def tasks(self, dag_id: str, run_id: str, patience_seconds: float = 0) -> list[dict[str, Any]]:
        """The run's task instances."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances?limit=1000"
        found: list[dict[str, Any]] = self.get(path, patience_seconds)["task_instances"]
        return found

    def wait_for_run(
        self,
        dag_id: str,
        run_id: str,
        deadline_seconds: float = 600,
        note: Callable[[str], None] = lambda _: None,
    ) -> dict[str, Any]:
        """The run when it has ended, whichever way. ``note`` is told how far it is."""
        end = time.monotonic() + deadline_seconds
        while (run := self.run(dag_id, run_id, PATIENCE_SECONDS))["state"] not in FINISHED:
            states = [task["state"] or "waiting" for task in self.tasks(dag_id, run_id, PATIENCE_SECONDS)]
            summary = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
            note(f"{run_id}: {summary}")
            if time.monotonic() > end:
                raise Failure(
                    f"run {run_id} of {dag_id} has not ended after {deadline_seconds:.0f} s: {summary}.\n"
                    "Mend: `make status` says what holds it up."
                )
            time.sleep(POLL_SECONDS)
        return run

    def log(self, dag_id: str, run_id: str, task: dict[str, Any], attempt: int | None = None) -> list[str]:
        """The events of a task's log, one text each, of the last attempt unless another is named."""
        number = attempt or task["try_number"]
        path = (
            f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task['task_id']}/logs/{number}"
            f"?full_content=true&map_index={task['map_index']}"
        )
        content = self.get(path)["content"]
        return [str(line.get("event", line) if isinstance(line, dict) else line) for line in content]

    def _request(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
        )
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        with self._door.opener.open(request, timeout=ANSWER_SECONDS) as answer:
            content = answer.read()
        return json.loads(content) if content else None
