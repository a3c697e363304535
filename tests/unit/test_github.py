"""What workflows say on GitHub, against a stand-in of its API on this machine."""

import dataclasses
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ops.diff_render import as_json, from_json, markdown
from ops.diff_report import Change, Changed, Report
from ops.github import BOT, GitHub, github_here, main, reports
from testbed.progress import Failure

COMMIT = "a" * 40
REPORT = Report(
    stack="prod",
    base="origin/main",
    commit=COMMIT,
    head="the working tree",
    resources=(
        Changed(
            "update", "gcp:sql/databaseInstance:DatabaseInstance", "database", True, True, (Change("t", "1", "2"),)
        ),
    ),
)


class Stand:
    """The pull requests, comments and issues of one repository."""

    def __init__(self) -> None:
        self.pulls: list[dict[str, Any]] = []
        self.comments: list[dict[str, Any]] = []
        self.issues: list[dict[str, Any]] = []
        self.refuse = False

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if self.refuse:
            return 403, {}
        place, _, query = path.partition("?")
        number = int(dict(part.split("=") for part in query.split("&"))["page"]) if query else 1
        match method, place.split("/")[4:]:
            case "GET", ["pulls"]:
                return 200, self.pulls[(number - 1) * 100 : number * 100]
            case "GET", ["issues"]:
                return 200, [one for one in self.issues if one["state"] == "open"] if number == 1 else []
            case "GET", ["issues", _, "comments"]:
                return 200, self.comments if number == 1 else []
            case "POST", ["issues", _, "comments"]:
                self.comments.append({"id": len(self.comments), "user": {"login": BOT}, **body})
            case "PATCH", ["issues", "comments", identity]:
                self.comments[int(identity)].update(body)
            case "POST", ["issues"]:
                self.issues.append({"number": len(self.issues), "state": "open", **body})
            case "PATCH", ["issues", identity]:
                self.issues[int(identity)].update(body)
            case _:
                return 404, {}
        return 200, {}


@pytest.fixture
def stand() -> Stand:
    return Stand()


@pytest.fixture
def github(stand: Stand) -> Iterator[GitHub]:
    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            assert self.headers["Authorization"] == "Bearer the-token"
            status, answer = stand.answer(self.command, self.path, json.loads(self.rfile.read(length) or b"{}"))
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = _handle  # noqa: N815 (the library's names)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's name)
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield GitHub("acme/airflow", "the-token", f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


def test_a_stack_has_one_comment_which_is_updated_in_place(stand: Stand, github: GitHub) -> None:
    stand.comments.append({"id": 0, "user": {"login": "mallory"}, "body": markdown(REPORT)})
    assert github.comment(7, REPORT) == "written"
    later = dataclasses.replace(REPORT, resources=())
    assert github.comment(7, later) == "updated"
    assert github.comment(7, dataclasses.replace(REPORT, stack="staging")) == "written"
    assert github.comment(7, dataclasses.replace(REPORT, kind="live")) == "written"
    assert [one["user"]["login"] for one in stand.comments] == ["mallory", BOT, BOT, BOT]
    assert stand.comments[0]["body"] == markdown(REPORT), "somebody else's comment was changed"
    assert stand.comments[1]["body"] == markdown(later)


def test_the_pull_request_is_found_by_its_newest_commit(stand: Stand, github: GitHub) -> None:
    stand.pulls = [{"number": number, "head": {"sha": f"{number:040x}"}} for number in range(1, 251)]
    assert github.pull_request_of(f"{230:040x}") == 230
    assert github.pull_request_of("f" * 40) is None
    with pytest.raises(Failure, match="is no commit"):
        github.pull_request_of("main; rm -rf /")


def test_drift_has_one_issue_while_it_lasts(stand: Stand, github: GitHub) -> None:
    drifted, fine = dataclasses.replace(REPORT, kind="drift"), dataclasses.replace(REPORT, kind="drift", resources=())
    assert github.issue(fine) == "no drift"
    assert github.issue(drifted) == "opened"
    assert github.issue(drifted) == "updated"
    assert [(one["title"], one["state"]) for one in stand.issues] == [("Stack prod has drifted", "open")]
    assert github.issue(fine) == "closed"
    assert stand.issues[0]["state"] == "closed"


def test_what_github_refuses_is_said_with_the_mend_and_without_the_token(stand: Stand, github: GitHub) -> None:
    stand.refuse = True
    with pytest.raises(Failure, match=r"GitHub refuses GET .*: 403 Forbidden.\nMend: the job's") as refused:
        github.comment(7, REPORT)
    assert "the-token" not in str(refused.value)


def test_the_command_comments_on_the_pull_request_of_a_commit(
    stand: Stand, github: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prod").mkdir()
    (tmp_path / "prod" / "report.json").write_text(as_json(REPORT), encoding="utf-8")
    arguments = ["comment", f"--reports={tmp_path}", f"--commit={COMMIT}"]
    for name, value in {
        "GITHUB_REPOSITORY": github.repository,
        "GITHUB_TOKEN": github.token,
        "GITHUB_API_URL": github.api,
    }.items():
        monkeypatch.setenv(name, value)
    assert main(arguments) == 0
    assert "no open pull request" in capsys.readouterr().out
    stand.pulls = [{"number": 7, "head": {"sha": COMMIT}}]
    assert main(arguments) == 0
    assert "stack prod: comment written in #7" in capsys.readouterr().out
    monkeypatch.setenv("GITHUB_TOKEN", "")
    assert main(arguments) == 1


def test_a_report_survives_json() -> None:
    assert from_json(as_json(REPORT)) == REPORT


@pytest.mark.parametrize(
    "change",
    [
        {"stack": "prod\n# hello"},
        {"stack": "x" * 501},
        {"resources": [{"operation": "<script>"}]},
        {"unchanged": "many"},
        {"kind": "official"},
        {"refused": 5},
    ],
)
def test_what_is_no_report_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps({**json.loads(as_json(REPORT)), **change}), encoding="utf-8")
    with pytest.raises(Failure, match="no report of an offline diff"):
        reports(tmp_path, "offline")


def test_a_run_cannot_speak_for_another_kind_of_run(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(as_json(dataclasses.replace(REPORT, kind="live")), encoding="utf-8")
    with pytest.raises(Failure, match="stack prod: no report of the kind 'offline'"):
        reports(tmp_path, "offline")
    assert [one.kind for one in reports(tmp_path, "live")] == ["live"]


def test_nothing_in_a_report_reaches_out_of_its_place_in_markdown() -> None:
    nasty = "```\n<img src=x> @acme/everybody [x](https://evil.example)"
    changed = Changed("update", "a:b:C", "n", False, False, (Change("p", "1", nasty),))
    report = dataclasses.replace(REPORT, base="`@acme` <b>", resources=(changed,), refused=(nasty,))
    lines = markdown(report).splitlines()
    assert "@" not in lines[1]
    assert "<b>" not in lines[1]
    fence = ""
    for line in lines[2:]:
        if line.startswith("```") and not fence:
            fence = line.rstrip("dif")
        elif fence and line == fence:
            fence = ""
        elif not fence:
            assert "evil" not in line
            assert "@" not in line
    assert fence == ""


def test_a_long_report_fits_into_a_comment() -> None:
    many = tuple(
        Changed("update", "a:b:C", f"n{number}", False, False, (Change("p", "1" * 100, "2" * 100),))
        for number in range(2000)
    )
    written = markdown(dataclasses.replace(REPORT, resources=many))
    assert len(written) < 65_536
    assert "the rest is in the workflow's log" in written
    assert written.count("```") == 2


def test_what_is_said_again_takes_the_place_of_what_was_said_before(stand: Stand, github: GitHub) -> None:
    stand.comments.append({"id": 0, "user": {"login": "somebody"}, "body": "<!-- mine --> no"})
    assert github.say(7, "<!-- mine -->", "<!-- mine --> up") == "written"
    assert github.say(7, "<!-- mine -->", "<!-- mine --> gone") == "updated"
    assert [one["body"] for one in stand.comments] == ["<!-- mine --> no", "<!-- mine --> gone"]


def test_outside_of_a_workflow_there_is_nobody_to_speak_for() -> None:
    with pytest.raises(Failure, match="this is for workflows"):
        github_here({"GITHUB_REPOSITORY": "acme/airflow"})
    found = github_here({"GITHUB_REPOSITORY": "acme/airflow", "GITHUB_TOKEN": "t", "GITHUB_API_URL": "https://here"})
    assert found.api == "https://here"
