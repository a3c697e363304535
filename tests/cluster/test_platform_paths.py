"""Airflows on paths of a shared host: links, tasks' own API and sign-in find their path, and no other path answers."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ops.door import Door
from tests.cluster.platform import Platform
from tests.cluster.way_in import ask, door_of, token_of

pytestmark = [pytest.mark.cluster, pytest.mark.long]


@pytest.fixture(scope="module")
def shared(platform: Platform) -> Iterator[Door]:
    """The door to the shared host, without a path."""

    def change(tree: dict[str, Any]) -> None:
        tree["ingress"].update(routing="paths")

    try:
        with platform.changed(change):
            platform.up()
            own = door_of(platform)
            assert own.url.endswith("/main")
            yield replace(own, url=own.url.removesuffix("/main"))
    finally:
        platform.up()


def test_a_dag_runs_and_its_log_is_read_by_the_path(platform: Platform, shared: Door) -> None:
    with platform.airflow() as api:
        assert api.url == f"{shared.url}/main"
        api.wait_for_dag("says_much")
        run_id = api.trigger("says_much")
        assert api.wait_for_run("says_much", run_id)["state"] == "success"
        (task,) = api.tasks("says_much", run_id)
        assert any(line.startswith("line ") for line in api.log("says_much", run_id, task))


def test_who_is_not_signed_in_is_sent_to_a_page_below_the_path_and_so_is_all_that_it_shows(
    platform: Platform, shared: Door
) -> None:
    assert ask(shared, "/main/api/v2/dags").status == 401
    page = ask(shared, "/main/auth/login/")
    assert page.status == 200
    assert 'name="password"' in page.text
    # What it keeps in the browser is not sent to another Airflow of the same host.
    assert re.findall("Path=[^;]*", page.cookies) == ["Path=/main/"]
    shown = sorted(set(re.findall(r'(?:src|href)="([^"]*/static/[^"]+)"', page.text)))
    assert shown
    assert {link: ask(shared, link).status for link in shown if link.startswith("/main/")} == dict.fromkeys(shown, 200)


def test_who_signs_in_finds_a_page_whose_links_are_below_the_path(platform: Platform, shared: Door) -> None:
    token = token_of(replace(shared, url=f"{shared.url}/main"), platform.view().secret("airflow-main", "admin"))
    page = ask(shared, "/main/", Cookie=f"_token={token}")
    assert page.status == 200
    assert '<base href="/main/"' in page.text
    # The base is what they are relative to.
    shown = sorted(set(re.findall(r'(?:src|href)="\./([^"]+)"', page.text)))
    assert shown
    assert {link: ask(shared, f"/main/{link}").status for link in shown} == dict.fromkeys(shown, 200)


@pytest.mark.parametrize("path", ["/", "/mai", "/mainx", "/other/", "/api/v2/version", "/auth/login/"])
def test_a_path_that_is_nobodys_is_not_found(platform: Platform, shared: Door, path: str) -> None:
    assert ask(shared, path).status == 404
