"""What workflows say on GitHub: a comment for each stack in a pull request, an issue for each stack that has drifted.

Reports come as JSON from jobs that ran a pull request's own code, so they are read strictly and written anew here.
"""

import argparse
import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ops.commands import command
from ops.diff_render import from_json, markdown, marker
from ops.diff_report import Report
from testbed.progress import Failure

BOT: Final = "github-actions[bot]"
"""Who the comments of workflows are by. Nobody else's is ever changed."""
_PAGE: Final = 100
_PAGES: Final = 20
_SECONDS: Final = 30
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class GitHub:
    """One repository by its REST API, as the workflow's own token may use it."""

    repository: str
    token: str
    api: str = "https://api.github.com"

    def pull_request_of(self, commit: str) -> int | None:
        """The open pull request whose newest commit is ``commit``. A fork's run does not say which it belongs to."""
        if not _COMMIT.fullmatch(commit):
            raise Failure(f"{commit!r} is no commit.\nMend: HEAD_SHA= the run's commit.")
        for one in self._every(f"/repos/{self.repository}/pulls?state=open"):
            if one["head"]["sha"] == commit:
                return int(one["number"])
        return None

    def comment(self, number: int, report: Report) -> str:
        """Write ``report`` into the pull request ``number``, in place of the earlier one of its stack and kind."""
        return self.say(number, marker(report.stack, report.kind), markdown(report))

    def say(self, number: int, begins: str, body: str) -> str:
        """Write ``body`` into the pull request ``number``, in place of an earlier one that ``begins`` as it does."""
        for one in self._every(f"/repos/{self.repository}/issues/{number}/comments"):
            if one["user"]["login"] == BOT and one["body"].startswith(begins):
                self._ask("PATCH", f"/repos/{self.repository}/issues/comments/{int(one['id'])}", {"body": body})
                return "updated"
        self._ask("POST", f"/repos/{self.repository}/issues/{number}/comments", {"body": body})
        return "written"

    def issue(self, report: Report) -> str:
        """Have one open issue while ``report`` says that its stack has drifted, and none when it has not."""
        title = f"Stack {report.stack} has drifted"
        begins = marker(report.stack, report.kind)
        there = next(
            (
                one
                for one in self._every(f"/repos/{self.repository}/issues?state=open&creator=app/github-actions")
                if str(one["body"] or "").startswith(begins)
            ),
            None,
        )
        path = f"/repos/{self.repository}/issues"
        if report.empty:
            if there is None:
                return "no drift"
            self._ask("PATCH", f"{path}/{int(there['number'])}", {"state": "closed"})
            return "closed"
        if there is None:
            self._ask("POST", path, {"title": title, "body": markdown(report)})
            return "opened"
        self._ask("PATCH", f"{path}/{int(there['number'])}", {"body": markdown(report)})
        return "updated"

    def _every(self, path: str) -> Iterator[dict[str, Any]]:
        joiner = "&" if "?" in path else "?"
        for page in range(1, _PAGES + 1):
            found = self._ask("GET", f"{path}{joiner}per_page={_PAGE}&page={page}")
            yield from found
            if len(found) < _PAGE:
                return

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.api}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token}",
                "Accept": "application/vnd.github+json",
                "Content-Type": "application/json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise Failure(
                f"GitHub refuses {method} {path.partition('?')[0]}: {error.code} {error.reason}.\n"
                "Mend: the job's `permissions` must allow it."
            ) from None
        except OSError as error:
            raise Failure(f"GitHub can't be reached: {error}.\nMend: run the job again.") from None


def github_here(environment: Mapping[str, str]) -> GitHub:
    """The repository that a workflow runs for, by the ``environment`` that GitHub gives it."""
    repository, token = environment.get("GITHUB_REPOSITORY", ""), environment.get("GITHUB_TOKEN", "")
    if not _REPOSITORY.fullmatch(repository) or not token:
        raise Failure("GITHUB_REPOSITORY and GITHUB_TOKEN are not set.\nMend: this is for workflows.")
    return GitHub(repository, token, environment.get("GITHUB_API_URL", GitHub.api))


def reports(folder: Path, kind: str) -> list[Report]:
    """The reports of ``kind`` in the files ``*.json`` below ``folder``. Refuses what is none, and one of another kind:
    the code of a pull request must not be able to speak for a run that somebody has approved.
    """
    found: list[Report] = []
    for path in sorted(folder.rglob("*.json")):
        try:
            found.append(from_json(path.read_text(encoding="utf-8")))
        except (ValueError, UnicodeDecodeError) as error:
            raise Failure(f"{path.name}: {error}.\nMend: look at the run that made it.") from None
    if strange := [one.stack for one in found if one.kind != kind]:
        raise Failure(
            f"stack {', '.join(strange)}: no report of the kind '{kind}'.\nMend: look at the run that made it."
        )
    return found


@command
def main(arguments: Sequence[str]) -> int:
    """Comment on the pull request of a commit, or keep the issues about drift; returns the exit code."""
    parser = argparse.ArgumentParser(prog="ops.github", description=__doc__)
    parser.add_argument("command", choices=("comment", "issue"))
    parser.add_argument("--reports", type=Path, required=True, help="a folder with reports in JSON")
    parser.add_argument("--commit", default="", help="with comment: the pull request's newest commit")
    parser.add_argument("--kind", default="offline", help="with comment: which reports the run may have made")
    chosen = parser.parse_args(arguments)
    there = github_here(os.environ)
    found = reports(chosen.reports, "drift" if chosen.command == "issue" else chosen.kind)
    if chosen.command == "issue":
        for report in found:
            print(f"stack {report.stack}: {there.issue(report)}")
        return 0
    number = there.pull_request_of(chosen.commit)
    if number is None:
        print(f"no open pull request is at {chosen.commit[:12]} any more; nothing was written")
        return 0
    for report in found:
        print(f"stack {report.stack}: comment {there.comment(number, report)} in #{number}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
