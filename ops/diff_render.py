"""A report of a change as text for a terminal, Markdown for a pull request, and JSON for programs."""

import difflib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from ops.diff_report import ALLOWING_LABEL, NOTHING, Change, Changed, Report

_SIGNS: Final = {"create": "+", "update": "~", "replace": "±", "delete": "-"}
_PAST: Final = {"create": "created", "update": "changed", "replace": "replaced", "delete": "deleted"}
_WIDEST: Final = 160
"""Characters of a value that are shown."""
_LONGEST: Final = 40
"""Lines of a text's difference that are shown."""
_LARGEST_COMMENT: Final = 60_000
"""Characters. GitHub takes 65,536."""


_TITLES: Final = {"offline": "offline diff against", "live": "live preview against", "drift": "drift from"}
_ORIGINS: Final = {
    "offline": "Worked out by the real Pulumi engine with stand-ins for every provider: no cloud was asked and no "
    "credentials were there. What was changed by hand is not seen.",
    "live": "Pulumi's own preview, asked of Google Cloud and the cluster by an identity that only reads.",
    "drift": "Pulumi's refresh, as a preview: nothing was changed. `pulumi up` sets right what the program says; what "
    "was changed on purpose belongs into the program or the stack file.",
}


def text(report: Report) -> str:
    """For a terminal."""
    against = f"{report.base} ({report.commit[:12]})" if report.commit else report.base
    lines = [f"Stack {report.stack}: {report.head} against {against}", _summary(report)]
    if flag := list(_flag(report)):
        lines += ["", *flag]
    if report.secrets:
        lines += ["", _secrets(report)]
    if report.resources:
        lines += ["", _details(report)]
    return "\n".join(lines)


def markdown(report: Report) -> str:
    """For a comment in a pull request. The first line is how the comment is found again."""
    fine = "" if report.passes else "🔴 "
    against = f"`{_code(report.base)}`{f' ({report.commit[:12]})' if report.commit else ''}"
    lines = [
        marker(report.stack, report.kind),
        f"### {fine}Stack `{report.stack}`: {_TITLES[report.kind]} {against}",
        "",
        "| created | changed | replaced | deleted | unchanged |",
        "| --- | --- | --- | --- | --- |",
        "| " + " | ".join(str(count) for count in (*_by_past(report), report.unchanged)) + " |",
        "",
    ]
    if flag := list(_flag(report)):
        lines += [*_fenced("\n".join(flag)), ""]
    if report.secrets:
        lines += [_code(_secrets(report)), ""]
    if report.resources:
        details = _details(report)
        room = _LARGEST_COMMENT - sum(len(line) + 1 for line in lines)
        if len(details) > room:
            details = details[:room].rpartition("\n")[0] + "\n… the rest is in the workflow's log"
        lines += ["<details><summary>Resources</summary>", "", *_fenced(details), "", "</details>", ""]
    lines.append(_ORIGINS[report.kind])
    return "\n".join(lines)


def marker(stack: str, kind: str) -> str:
    """What a comment about ``stack`` begins with."""
    return f"<!-- airflow-platform: {kind} {stack} -->"


def as_json(report: Report) -> str:
    """For programs."""
    content = {**asdict(report), "counts": report.counts, "passes": report.passes}
    return json.dumps(content, indent=1, ensure_ascii=False)


def from_json(content: str) -> Report:
    """The report in what ``as_json`` wrote, wherever that comes from. Raises ValueError where it is none."""
    try:
        tree: dict[str, Any] = json.loads(content)
        resources = tuple(
            Changed(
                operation=_one_of(_SIGNS, one["operation"]),
                type=_line(one["type"]),
                name=_line(one["name"]),
                stateful=one["stateful"] is True,
                protected=one["protected"] is True,
                changes=tuple(
                    Change(_line(each["path"]), str(each["old"]), str(each["new"]), each["replaces"] is True)
                    for each in one["changes"]
                ),
            )
            for one in tree["resources"]
        )
        return Report(
            stack=_line(tree["stack"]),
            base=_line(tree["base"]),
            commit=_line(tree["commit"]),
            head=_line(tree["head"]),
            kind=_one_of(_TITLES, tree["kind"]),
            resources=resources,
            unchanged=int(tree["unchanged"]),
            secrets=tuple(_line(one) for one in tree["secrets"]),
            refused=tuple(str(one) for one in tree["refused"]),
            violations=tuple(str(one) for one in tree["violations"]),
            allowed=tree["allowed"] is True,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"no report of an offline diff: {type(error).__name__} {error}") from None


FORMATS: Final[Mapping[str, Callable[[Report], str]]] = {"text": text, "markdown": markdown, "json": as_json}


def _line(value: object) -> str:
    shown = str(value)
    if len(shown) > 500 or not shown.isprintable():
        raise ValueError(f"{shown[:40]!r} is no name")
    return shown


def _one_of(known: Mapping[str, str], value: object) -> str:
    if value not in known:
        raise ValueError(f"{value!r} is none of {', '.join(known)}")
    return str(value)


def _by_past(report: Report) -> list[int]:
    return [report.counts[operation] for operation in ("create", "update", "replace", "delete")]


def _summary(report: Report) -> str:
    if not report.resources:
        return f"0 changes ({report.unchanged} unchanged)"
    said = [f"{count} {_PAST[operation]}" for operation, count in report.counts.items() if count]
    return f"{', '.join(said)} ({report.unchanged} unchanged)"


def _flag(report: Report) -> Iterator[str]:
    """What must not be overlooked."""
    for refusal in report.refused:
        yield f"REFUSED: {refusal}"
    for violation in report.violations:
        yield f"GUARDRAIL: {violation}"
    lost = report.at_stake
    if not lost:
        return
    yield f"WHAT HOLDS SOMETHING WOULD BE GONE: {len(lost)} {'resource' if len(lost) == 1 else 'resources'}"
    for one in lost:
        forced = ", ".join(change.path for change in one.changes if change.replaces)
        because = f" because of {forced}" if forced else ""
        kept = "; protected, `up` refuses" if one.protected else ""
        yield f"  {one.title} would be {_PAST[one.operation]}{because}{kept}"
    if report.allowed:
        yield f"Allowed by {ALLOWING_LABEL}."
    else:
        yield (
            f"Mend: undo that; or, if it is meant, label the pull request {ALLOWING_LABEL} (here: "
            f"ALLOW={ALLOWING_LABEL}). What is protected must be unprotected first: docs/protection.md."
        )


def _secrets(report: Report) -> str:
    return (
        f"Secret values differ: {', '.join(report.secrets)}. What they are is not known here; what depends on them "
        "changes, too."
    )


def _details(report: Report) -> str:
    """All resources; those with nothing to say about them without a blank line between them."""
    lines: list[str] = []
    for one in report.resources:
        own = list(_resource(one))
        if lines and (len(own) > 1 or lines[-1].startswith(" ")):
            lines.append("")
        lines += own
    return "\n".join(lines)


def _resource(one: Changed) -> Iterator[str]:
    lost = "  <- holds something" if one.loses_something else ""
    yield f"{_SIGNS[one.operation]} {one.title}{lost}"
    for change in one.changes:
        forces = "  (replaces)" if change.replaces else ""
        if "\n" in change.old or "\n" in change.new:
            yield f"    {change.path}:{forces}"
            yield from _text_difference(change)
        else:
            yield f"    {change.path}: {_cut(change.old)} -> {_cut(change.new)}{forces}"


def _text_difference(change: Change) -> Iterator[str]:
    old, new = ([] if value == NOTHING else value.splitlines() for value in (change.old, change.new))
    lines = [line for line in difflib.unified_diff(old, new, n=0, lineterm="") if not line.startswith(("---", "+++"))]
    for line in lines[:_LONGEST]:
        yield f"      {_cut(line)}"
    if len(lines) > _LONGEST:
        yield f"      … and {len(lines) - _LONGEST} more lines"


def _cut(value: str) -> str:
    return value if len(value) <= _WIDEST else f"{value[:_WIDEST]}… ({len(value)} characters)"


def _fenced(content: str) -> list[str]:
    """A block that nothing in ``content`` can end."""
    fence = "```"
    while fence in content:
        fence += "`"
    return [f"{fence}diff", content, fence]


def _code(value: str) -> str:
    """Text in a sentence, with nothing in it that Markdown or GitHub gives a meaning."""
    return value.translate({ord(character): None for character in "`<>@#|[]()"})


def main(path: str, form: str) -> None:
    """Print the report in the file ``path`` in another form."""
    try:
        print(FORMATS[form](from_json(Path(path).read_text(encoding="utf-8"))))
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"{path}: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
