"""Tells people when a DAG run has failed: one message, after the last try of all its tasks.

Airflow loads this as a plugin with a listener (entry point airflow.plugins) in the scheduler, which decides that a run
has failed. The scheduler only notes it; a thread of its own sends, so nothing waits for a mail server, and what can't
be sent is a line in the scheduler's log. A run that a person marks as failed gives no message.
"""

from __future__ import annotations

import atexit
import json
import logging
import queue
import smtplib
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections import OrderedDict
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.configuration import conf
from airflow.listeners import hookimpl as listener
from airflow.plugins_manager import AirflowPlugin
from airflow.utils.state import TaskInstanceState
from sqlalchemy.orm import object_session

if TYPE_CHECKING:
    from airflow.models import DagRun

CONFIGURATION = Path("@CONFIGURATION@")
TIMEOUT_SECONDS = 10
PAUSES_SECONDS = (0, 10, 60)
"""Before each try to send one message; others wait meanwhile."""
LAST_SECONDS = 15
"""How long a scheduler that ends goes on sending."""
WAITING = 500
REMEMBERED = 10_000
SHOWN_TASKS = 20

log = logging.getLogger("airflow_platform.notifications")


def described(dag_run: DagRun, reason: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What there is to say about a run, from what the scheduler has loaded; nothing is committed."""
    session = object_session(dag_run)
    failed = dag_run.get_task_instances(state=[TaskInstanceState.FAILED], session=session) if session else []
    base = conf.get("api", "base_url", fallback=None)
    run = f"{base.rstrip('/')}/dags/{dag_run.dag_id}/runs/{quote(dag_run.run_id, safe='')}" if base else None
    return {
        "environment": settings["environment"],
        "airflow": settings["airflow"],
        "dag": dag_run.dag_id,
        "run": dag_run.run_id,
        "state": "failed",
        "reason": reason,
        "logicalDate": dag_run.logical_date.isoformat() if dag_run.logical_date else None,
        "link": run,
        "tasks": [
            {
                "task": one.task_id,
                "mapIndex": one.map_index if one.map_index >= 0 else None,
                "try": one.try_number,
                "log": one.log_url if base else None,
            }
            for one in sorted(failed, key=lambda one: (one.end_date is None, one.end_date, one.task_id))
        ],
    }


def title(message: dict[str, Any]) -> str:
    return f"[{message['environment']} / {message['airflow']}] DAG {message['dag']} failed: {message['run']}"


def text(message: dict[str, Any]) -> str:
    """The message for people."""
    lines = [title(message)]
    if message["logicalDate"]:
        lines.append(f"for {message['logicalDate']}")
    for task in message["tasks"][:SHOWN_TASKS]:
        mapped = "" if task["mapIndex"] is None else f" [{task['mapIndex']}]"
        where = f": {task['log']}" if task["log"] else ""
        lines.append(f"- task {task['task']}{mapped} failed in try {task['try']}{where}")
    more = len(message["tasks"]) - SHOWN_TASKS
    if more > 0:
        lines.append(f"- and {more} more tasks")
    if not message["tasks"]:
        lines.append(f"no task of it failed; Airflow says: {message['reason']}")
    if message["link"]:
        lines.append(message["link"])
    return "\n".join(lines)


def send(message: dict[str, Any], settings: dict[str, Any]) -> None:
    match settings["kind"]:
        case "smtp":
            send_mail(message, settings)
        case "slack":
            # https://api.slack.com/messaging/webhooks; &, < and > would be control characters.
            plain = text(message).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            post(settings["url"], {"text": plain}, None)
        case _:
            post(settings["url"], {**message, "text": text(message)}, settings.get("token"))


def send_mail(message: dict[str, Any], settings: dict[str, Any]) -> None:
    mail = EmailMessage()
    mail["Subject"] = title(message)
    mail["From"] = settings["sender"]
    mail["To"] = ", ".join(settings["to"])
    mail.set_content(text(message))
    verified = ssl.create_default_context()
    # Its own name, or smtplib asks the resolver for it, without a time-out.
    own = {"local_hostname": socket.gethostname(), "timeout": TIMEOUT_SECONDS}
    if settings["security"] == "tls":
        server = smtplib.SMTP_SSL(settings["host"], settings["port"], context=verified, **own)
    else:
        server = smtplib.SMTP(settings["host"], settings["port"], **own)
    with server:
        if settings["security"] == "starttls":
            server.starttls(context=verified)
        if settings.get("user"):
            server.login(settings["user"], settings["password"])
        server.send_message(mail)


def post(url: str, body: dict[str, Any], token: str | None) -> None:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers, method="POST")
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):
        pass


def said(error: Exception) -> str:
    """What went wrong, without anything that may hold a secret: an address, what a server repeats."""
    code = getattr(error, "code", None) or getattr(error, "smtp_code", None)
    reason = getattr(error, "reason", None) if isinstance(error, urllib.error.URLError) else error
    known = getattr(reason, "strerror", None) or getattr(reason, "verify_message", None)
    return " ".join(str(part) for part in (type(error).__name__, code, known) if part)


class Sender:
    """Sends in a thread of its own, which starts with the first message."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue(WAITING)
        self._started = threading.Lock()
        self._known: OrderedDict[tuple[Any, ...], None] = OrderedDict()
        self._settings: dict[str, Any] = {}

    def note(self, dag_run: DagRun, reason: str) -> None:
        # A scheduler whose transaction is rolled back comes to the same run again.
        key = (dag_run.dag_id, dag_run.run_id, dag_run.clear_number)
        if key in self._known:
            return
        self._known[key] = None
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        if not self._settings:
            self._settings = json.loads(CONFIGURATION.read_text(encoding="utf-8"))
        message = described(dag_run, reason, self._settings)
        try:
            self._waiting.put_nowait(message)
        except queue.Full:
            log.error("%d notifications wait already; dropped: %s", WAITING, title(message))
            return
        if self._started.acquire(blocking=False):
            threading.Thread(target=self._work, name="notifications", daemon=True).start()
            atexit.register(self._finish)

    def _work(self) -> None:
        while True:
            message = self._waiting.get()
            try:
                self._deliver(message)
            finally:
                self._waiting.task_done()

    def _deliver(self, message: dict[str, Any]) -> None:
        problem = ""
        for pause in PAUSES_SECONDS:
            time.sleep(pause)
            try:
                send(message, self._settings)
            except Exception as error:
                problem = said(error)
                log.warning("notification not sent (%s), tried again: %s", problem, title(message))
            else:
                log.info("notification sent: %s", title(message))
                return
        log.error("notification given up (%s): %s", problem, title(message))

    def _finish(self) -> None:
        end = time.monotonic() + LAST_SECONDS
        while self._waiting.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.1)


class FailureListener:
    """What the scheduler calls, in its transaction: it must not fail, wait or commit."""

    def __init__(self) -> None:
        self._sender = Sender()

    @listener
    def on_dag_run_failed(self, dag_run: DagRun, msg: str) -> None:
        """A run has failed: none of its tasks will be tried again."""
        try:
            self._sender.note(dag_run, msg)
        except Exception:
            log.exception("no notification of run %s of %s", dag_run.run_id, dag_run.dag_id)


class Notifications(AirflowPlugin):
    """The listener, as Airflow wants it."""

    name = "airflow_platform_notifications"
    listeners = (FailureListener(),)
