"""Sign-in on the real engine: it comes and stays as it is, and one more program that may come in restarts nothing."""

from pathlib import Path
from typing import Any

import pytest

from tests.engine.stacks import offline_stack

pytestmark = pytest.mark.engine
Tree = dict[str, Any]
GOOGLE = {
    "kind": "google",
    "clientId": "1.apps.googleusercontent.com",
    "domains": ["example.com"],
    "roles": {"boss@example.com": ["Admin"]},
    "defaultRole": "Viewer",
}
RUNNING = ("Deployment", "StatefulSet", "DaemonSet")


def by_google(tree: Tree) -> None:
    tree["airflows"][0].update(signIn=GOOGLE, apiClients=[{"name": "etl", "role": "Op"}])
    tree["secrets"] = {"main": {"oidcClientSecret": "what Google gave us"}}


def with_one_more(tree: Tree) -> None:
    by_google(tree)
    tree["airflows"][0]["apiClients"].append({"name": "reports"})


def test_who_signs_in_is_asked_by_google_and_one_more_program_restarts_nothing(tmp_path: Path) -> None:
    stack = offline_stack("local", tmp_path)
    assert "Secret main-sign-in" in stack.up(by_google).changed
    assert stack.up(by_google).changed == {}
    more = stack.up(with_one_more)
    assert more.of_kind(*RUNNING) == {}
    assert more.changed.keys() == {
        "Job main-create-admin",
        "RandomPassword main-client-reports-password",
        "Secret main-api-clients",
        "Secret main-client-reports",
    }
