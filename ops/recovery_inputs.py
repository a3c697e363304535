"""What `make recover` is given, checked before anything is touched: every problem at once."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.settings import PROJECT
from ops.database import begins_as_dump
from ops.stack_file import StackFile
from ops.target import Target
from testbed.progress import Failure

FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
"""32 bytes in url-safe base64 (https://cryptography.io/en/latest/fernet/)."""
FORM = '{"fernetKey": "<newest>,<older>,…"}'


@dataclass(frozen=True)
class Inputs:
    """A dump, and the Fernet keys that open what is encrypted in it, the newest first, separated by commas."""

    airflow: str
    dump: Path
    keys_file: Path
    keys: str = field(repr=False)

    @property
    def secret(self) -> str:
        """The setting that holds the keys, as the stack's configuration names it."""
        return f"secrets.{self.airflow}.fernetKey"


def checked_inputs(chosen: Target, airflow: str, dump: str, keys: str) -> Inputs:
    """What a person gave, or a Failure with everything that is wrong with it. ``airflow`` empty: the first one."""
    names = [entry.name for entry in chosen.settings.airflows]
    problems = list(_dump_problems(dump))
    given, key_problems = _read_keys(keys)
    problems += key_problems
    if airflow and airflow not in names:
        problems.append(f"AIRFLOW: stack {chosen.name} has no Airflow '{airflow}'. Mend: one of {', '.join(names)}")
    inputs = Inputs(airflow or names[0], Path(dump).expanduser(), Path(keys).expanduser(), given)
    problems += _clear_secret_problems(chosen.stack, inputs)
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise Failure(f"recover was given {count}; nothing was touched:\n{listed}")
    return inputs


def given_in_clear(stack: StackFile, airflow: str) -> dict[str, Any] | None:
    """The secrets of ``airflow`` that stand in clear in the stack file, which ephemeral stacks may have; else None."""
    return None if stack.plain_secrets is None else json.loads(stack.plain_secrets).get(airflow, {})


def _dump_problems(dump: str) -> Iterator[str]:
    path = Path(dump).expanduser()
    if not dump:
        yield "DUMP: is not given. Mend: DUMP= the file that `make dump` wrote"
    elif not path.is_file():
        yield f"DUMP: there is no file {path}. Mend: the file that `make dump` wrote"
    elif not begins_as_dump(path):
        yield (
            f"DUMP: {path} is not in the custom format of pg_dump: it does not begin with PGDMP. Mend: write it with "
            "`make dump`, or `pg_dump --format=custom`; SQL text can't be taken"
        )


def _read_keys(keys: str) -> tuple[str, list[str]]:
    """The keys, and what is wrong with them. No problem's text shows any of the file's content."""
    path = Path(keys).expanduser()
    if not keys:
        return "", [f"KEYS: is not given. Mend: KEYS= a file with {FORM} (docs/recovery.md says how to get it)"]
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return "", [f"KEYS: {path} can't be read: {error.strerror}. Mend: name a file with {FORM}"]
    except ValueError:
        return "", [f"KEYS: {path} is not JSON. Mend: write {FORM} into it"]
    text = content.get("fernetKey") if isinstance(content, dict) and len(content) == 1 else None
    if not isinstance(text, str):
        return "", [f"KEYS: {path} does not have the form {FORM}. Mend: write it so, and nothing else into it"]
    parts = [part.strip() for part in text.split(",")]
    wrong = [str(number) for number, part in enumerate(parts, 1) if not FERNET_KEY.fullmatch(part)]
    if wrong:
        return "", [
            f"KEYS: {path}: key {', '.join(wrong)} of {len(parts)} is not a Fernet key (43 characters of A-Z, a-z, "
            "0-9, '-', '_', then '='). Mend: take it from where it is kept once more, without quotes or line breaks"
        ]
    return ",".join(parts), []


def _clear_secret_problems(stack: StackFile, inputs: Inputs) -> Iterator[str]:
    """Pulumi would write secrets in clear beside an encrypted one into its own files."""
    clear = given_in_clear(stack, inputs.airflow)
    if clear is None:
        return
    if "fernetKey" not in clear:
        yield (
            f"secrets: stand in clear in the stack file of {stack.name}, and the key that is to join them would be "
            f"encrypted. Mend: take them out, or encrypt them, too: pulumi config set --secret --path "
            f"'{PROJECT}:secrets.<airflow>.<key>'"
        )
    elif inputs.keys and clear["fernetKey"] != inputs.keys:
        yield (
            f"{inputs.secret}: stands in clear in the stack file of {stack.name} and is not what KEYS holds. Mend: "
            "take it out, or put the same into both"
        )
