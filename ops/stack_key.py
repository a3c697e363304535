"""Makes a Fernet key the stack's own, so that no later `up` generates another one.

It goes into the stack file, encrypted as `pulumi config set --secret --path` does it, because that is where a key of
one's own belongs: the setting ``secrets.<airflow>.fernetKey``, documented, visible as such in a review, and read by
every `up`, ours or Pulumi's own. The state would be the other place: a generated key is a resource in it, and Pulumi
can import one of a known value. But that resource holds one key, without its older generations, and it would have to be
imported below a component that an empty state does not have.

The price: the stack file changes, and an `up` from a copy without the change makes a new key. So the command ends by
saying so.
"""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from infra.settings import PROJECT
from ops.engine import Engine
from ops.recovery_inputs import Inputs, given_in_clear
from testbed.progress import Failure

_KEY_RESOURCE = "random:index/randomBytes:RandomBytes"


def keep_key(engine: Engine, inputs: Inputs, present: str | None, path: Path) -> bool:
    """Make ``inputs.keys`` the Fernet key of the Airflow; True if the stack file ``path`` was changed for it.

    ``present`` is the key that the running Airflow has, if there is one: where the stack itself made it and it is the
    same one, nothing is to do. Refuses to take the place of another one that the stack made and protects.
    """
    stack = engine.target.stack
    if given_in_clear(stack, inputs.airflow) is not None:
        return False  # checked before: it is the same one
    generated = generated_keys(engine.exported(), inputs.airflow)
    if generated and present == inputs.keys:
        return False
    if protected := [key["urn"] for key in generated if key["protect"]]:
        raise Failure(
            f"stack {stack.name} has made a Fernet key of its own for Airflow {inputs.airflow}, which is not the one "
            f"in {inputs.keys_file}, and protects it. Nothing was changed.\n"
            "Mend: if nothing was encrypted with it yet, let it go: "
            + "; ".join(f"pulumi state unprotect '{urn}' --stack {stack.name}" for urn in protected)
            + ". Then run the command again."
        )
    rotations = next(one.rotations for one in engine.target.settings.airflows if one.name == inputs.airflow)
    if rotations.fernet_key or rotations.fernet_key_in_use:
        raise Failure(
            f"airflows.{inputs.airflow}.rotations.fernetKey: is in the stack file of {stack.name}, and the keys that "
            "you give take the place of generated ones. Nothing was changed.\n"
            "Mend: take fernetKey and fernetKeyInUse out, and run the command again."
        )
    _set_secret(engine, f"{PROJECT}:{inputs.secret}", inputs.keys, path)
    return True


def generated_keys(state: str, airflow: str) -> list[dict[str, Any]]:
    """The resources that hold the keys which the stack made for ``airflow``, one for each rotation and one more: their
    ``urn``, and whether they are protected.

    ``state`` is what `pulumi stack export` prints.
    """
    resources: list[dict[str, Any]] = json.loads(state)["deployment"].get("resources") or []
    name = re.compile(rf"::{re.escape(airflow)}-fernet-key(-\d+)?$")
    return [
        {"urn": resource["urn"], "protect": bool(resource.get("protect"))}
        for resource in resources
        if resource["type"] == _KEY_RESOURCE and name.search(resource["urn"])
    ]


def _set_secret(engine: Engine, key: str, value: str, path: Path) -> None:
    before = path.read_text(encoding="utf-8")
    workspace = engine.stack.workspace
    # By hand: the Automation API would put the value on the command line. The CLI reads it from its input.
    done = subprocess.run(
        [
            workspace.pulumi_command.command,
            *("--non-interactive", "config", "set", "--secret", "--path", key),
            *("--stack", engine.stack.name, "--config-file", str(path)),
        ],
        input=value,
        capture_output=True,
        text=True,
        check=False,
        cwd=workspace.work_dir,
        env={**os.environ, **workspace.env_vars},
    )
    if done.returncode:
        raise Failure(
            f"the key could not be put into {path}:\n  {done.stderr.strip()}\nMend: correct what is named and run the "
            "command again; nothing else has been changed."
        )
    path.write_text(with_types_of(before, path.read_text(encoding="utf-8")), encoding="utf-8")


def with_types_of(before: str, after: str) -> str:
    """The stack file ``after`` Pulumi has written it, with switches and numbers as they stood ``before``.

    Pulumi turns every ``true`` and ``1`` right below ``config`` into text, which says something else to all who read
    the file but Pulumi.
    """
    config: dict[str, Any] = yaml.safe_load(before).get("config") or {}
    for key, value in config.items():
        if isinstance(value, bool | int | float):
            plain = json.dumps(value)
            after = re.sub(rf'^(\s+{re.escape(key)}:\s*)"{re.escape(plain)}"', rf"\g<1>{plain}", after, flags=re.M)
    return after
