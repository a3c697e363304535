"""What a person sees: signs in, finds a DAG, opens a run, reads a log. In a real browser, by the way in.

Screenshots stay in build/screenshots.
"""

import base64
import hashlib
import re
import shutil
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from playwright.sync_api import Page, expect, sync_playwright

from ops.stack_file import ROOT
from testbed.system import ensure_packages
from tests.cluster.platform import Platform
from tests.cluster.way_in import door_of

pytestmark = [pytest.mark.cluster, pytest.mark.long]

SCREENSHOTS = ROOT / "build" / "screenshots"
PATIENCE = 60_000
"""Milliseconds for one step: the first page of a browser and of an api-server takes long on a busy machine."""
DAG, TASK, SAYS = "example_sales_report", "check", "EUR reported"


@pytest.fixture
def page(platform: Platform) -> Iterator[Page]:
    """A page of Debian's Chromium, which knows this machine's names only, and trusts our certificate beside those that
    it knows."""
    ensure_packages(["chromium", "fonts-liberation"], platform.progress)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    flags = [
        "--no-sandbox",  # Chromium refuses to be root's with one
        "--no-proxy-server",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE *.localhost",
        f"--ignore-certificate-errors-spki-list={_pin(platform)}",
    ]
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        try:
            opened = browser.new_page(viewport={"width": 1280, "height": 800}, locale="en-GB", timezone_id="UTC")
            opened.set_default_timeout(PATIENCE)
            yield opened
            shot(opened, "last")
        finally:
            browser.close()


def _pin(platform: Platform) -> str:
    """The key that is trusted, as Chromium wants it: whatever authority has signed it."""
    leaf = x509.load_pem_x509_certificate(platform.view().secret("ingress", "tls")["tls.crt"].encode())
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(leaf.public_key().public_bytes(*form)).digest()).decode()


def shot(page: Page, name: str) -> None:
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def test_a_person_signs_in_opens_a_run_and_reads_a_log(platform: Platform, page: Page) -> None:
    with platform.airflow() as api:
        api.wait_for_dag(DAG)
        run_id = api.trigger(DAG)
        assert api.wait_for_run(DAG, run_id)["state"] == "success"
        (task,) = [one for one in api.tasks(DAG, run_id) if one["task_id"] == TASK]
        said = next(line for line in api.log(DAG, run_id, task) if SAYS in line)
    login, door = platform.view().secret("airflow-main", "admin"), door_of(platform)
    assert door.at == ("127.0.0.1", urlsplit(door.url).port), "the browser finds the door at its own address"

    page.goto(door.url)
    expect(page).to_have_url(re.compile(f"^{re.escape(door.url)}/auth/login"))
    shot(page, "sign-in")
    page.fill("#username", login["username"])
    page.fill("#password", login["password"])
    page.click("input[type=submit]")
    expect(page).to_have_url(re.compile(f"^{re.escape(door.url)}/(\\?.*)?$"))

    page.goto(f"{door.url}/dags")
    link = page.get_by_role("link", name=DAG).first
    expect(link).to_be_visible()
    shot(page, "dags")
    link.click()
    expect(page).to_have_url(re.compile(f"/dags/{DAG}"))

    run = f"{door.url}/dags/{DAG}/runs/{quote(run_id, safe='')}"
    page.goto(run)
    expect(page.get_by_role("link", name=TASK, exact=True).first).to_be_visible()
    shot(page, "run")
    page.goto(f"{run}/tasks/{TASK}")
    expect(page.get_by_text(said).first).to_be_visible()
    shot(page, "log")
