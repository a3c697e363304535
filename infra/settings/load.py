"""Reads a stack's configuration and says everything that is wrong with it at once, by key, with the mend."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pulumi.runtime.config import CONFIG, get_config_env, is_config_secret
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from infra.settings.environment import Settings
from infra.settings.organisation import OrganisationStack

PROJECT = "airflow-platform"
PLACEHOLDER = "YOUR-"
"""A value that holds it is still to be filled in. No name that Google allows does: they are in lower case."""
FORMER_KINDS = {"logs": "given"}
"""What a setting is that came without a kind before there were several."""
PROJECT_DEFAULTS = (("ephemeral", False), ("images", {}), ("secrets", {}))
"""What Pulumi.yaml gives to every stack, a bootstrap's included, which has no use for it."""
SECRET_KEYS = {
    "secrets": f"--path '{PROJECT}:secrets.<airflow>.<key>'",
    "alertSecrets": f"--path '{PROJECT}:alertSecrets.<route>'",
    "databaseAdministratorPassword": f"{PROJECT}:databaseAdministratorPassword",
    "gateSecret": f"{PROJECT}:gateSecret",
    "ingressKey": f"{PROJECT}:ingressKey",
    "logsPassword": f"{PROJECT}:logsPassword",
}
"""Settings that must be encrypted, and how `pulumi config set` names them."""


class SettingsError(Exception):
    """The stack's configuration is wrong. The text lists every problem; nothing has been created."""


def load(secrets: str | None = None) -> Settings | OrganisationStack:
    """The settings of the stack that Pulumi is running. Raises SettingsError.

    ``secrets`` (JSON) takes the place of the stack's own; it was never in a file of Pulumi's.
    """
    # Config.get() only reads keys that one asks for; unknown ones are found by looking at all of them.
    given = {**get_config_env(), **CONFIG.get()}
    prefix = f"{PROJECT}:"
    config = {key.removeprefix(prefix): value for key, value in given.items() if key.startswith(prefix)}
    clear = [
        f"{key}: must not stand in clear in the stack file: Pulumi would copy it into its state. Set it with: pulumi "
        f"config set --secret {form}"
        for key, form in SECRET_KEYS.items()
        if config.get(key, "{}") != "{}" and not is_config_secret(f"{prefix}{key}")
    ]
    if clear:
        raise _refused(clear)
    if secrets is not None:
        config["secrets"] = secrets
    return parse(config)


def parse(config: Mapping[str, str]) -> Settings | OrganisationStack:
    """Settings from Pulumi's configuration: one JSON text a top-level key. Raises SettingsError.

    A stack with the key ``organisation`` is the bootstrap of an organisation, every other one an environment.
    """
    tree: dict[str, Any] = {}
    for key, text in config.items():
        try:
            tree[key] = json.loads(text)
        except json.JSONDecodeError:
            tree[key] = text  # a plain string; the model says what it wants instead
    if placeholders := list(_placeholders(tree, ())):
        raise _refused(
            [f"{_path(where, tree)}: {text} is a placeholder. Put your own value there" for where, text in placeholders]
        )
    for key, kind in FORMER_KINDS.items():
        if isinstance(tree.get(key), dict):
            tree[key].setdefault("kind", kind)
    model: type[OrganisationStack] | type[Settings] = Settings
    if "organisation" in tree:
        model = OrganisationStack
        tree = {key: value for key, value in tree.items() if (key, value) not in PROJECT_DEFAULTS}
    try:
        return model.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        details = error.errors(include_input=False)
        problems = list(dict.fromkeys(line for detail in details for line in _explain(detail, tree, model)))
    raise _refused(problems)


def _refused(problems: Sequence[str]) -> SettingsError:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    listed = "\n".join(f"  - {line}" for line in problems)
    return SettingsError(f"the stack's configuration has {count}; nothing was created:\n{listed}")


def _placeholders(node: object, where: tuple[int | str, ...]) -> Iterator[tuple[tuple[int | str, ...], str]]:
    if isinstance(node, str) and PLACEHOLDER in node:
        yield where, node
    elif isinstance(node, dict):
        for key, inner in node.items():
            yield from _placeholders(inner, (*where, str(key)))
    elif isinstance(node, list):
        for index, inner in enumerate(node):
            yield from _placeholders(inner, (*where, index))


def _explain(detail: ErrorDetails, tree: Mapping[str, Any], model: type[BaseModel]) -> list[str]:
    where = _path(detail["loc"], tree)
    context = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            return [f"{where}: unknown key. {_suggestion(detail['loc'], model)}"]
        case "missing":
            return [f"{where}: is missing. Add it to the stack file"]
        case "too_short" if _value(detail["loc"], tree):
            return []  # entries that failed are no longer counted; each has said why
        case "value_error" if not detail["loc"]:
            return str(context["error"]).split("\n")
        case "union_tag_not_found" | "union_tag_invalid":
            return [f"{where}.kind: {_shown(detail['loc'], tree, 'kind')} must be one of {_tags(context)}"]
        case "string_pattern_mismatch" if detail["loc"][-1] == "[key]":
            at, named = _path(detail["loc"][:-2], tree), detail["loc"][-2]
            return [f'{at}: the name "{named}" does not have the form {_form(detail, context)}']
        case "string_pattern_mismatch":
            return [f"{where}: {_shown(detail['loc'], tree)} does not have the form {_form(detail, context)}"]
        case _:
            message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
            return [f"{where}: {_shown(detail['loc'], tree)} {message[0].lower()}{message[1:]}"]


_LABEL = "of a DNS label: lower-case letters, digits and dashes, a letter first, no dash last"
_PROJECT = "of a project's id: 6 to 30 lower-case letters, digits and dashes, a letter first, no dash last"
_MEMBER = "of a member as IAM writes it. Write group:team@example.com, user:…, serviceAccount:…"
_DIGEST = "of a digest. Write sha256: and 64 digits or letters a to f, as the push printed it"
_NUMBER = "of a number. Ask for it with: gcloud projects describe PROJECT --format='value(projectNumber)'"
_FORMS = {
    "name": _LABEL,
    "[key]": _LABEL,
    "project": _PROJECT,
    "platformProject": _PROJECT,
    "hostProject": _PROJECT,
    "projectNumber": _NUMBER,
    "breakGlass": _MEMBER,
    "digest": _DIGEST,
    "region": "of a region. Write europe-west1; gcloud compute regions list names them all",
    "zone": "of a zone. Write europe-west1-b; gcloud compute zones list names them all",
    "domain": "of a domain. Write airflow.example.com, in lower case and without a dot at the end",
    "tier": "of a tier. Write db-custom-<CPUs>-<MiB>, db-g1-small, or db-perf-optimized-N-<CPUs>",
    "connectionName": "of an instance's connection name. Write project:region:instance",
    "machineType": "of a machine type. Write n2-standard-4",
}
"""What a value should look like, by its key, in words that say what to write."""


def _tags(context: Mapping[str, Any]) -> str:
    """The allowed kinds, as pydantic lists them, or a general word where it does not."""
    return str(context.get("expected_tags", "the documented kinds (docs/settings.md)"))


def _form(detail: ErrorDetails, context: Mapping[str, Any]) -> str:
    return _FORMS.get(str(detail["loc"][-1]), str(context["pattern"]))


def _path(location: Sequence[int | str], tree: Mapping[str, Any]) -> str:
    """``airflows.main.dags.version``: list entries by their name where they have one; union tags left out."""
    node: Any = tree
    parts: list[str] = []
    for step in location:
        if isinstance(step, int) and isinstance(node, list):
            node = node[step]
            named = node.get("name") if isinstance(node, dict) else None
            parts.append(named if isinstance(named, str) and named else str(step))
        elif isinstance(node, dict) and step not in node and node.get("kind") == step:
            continue
        else:
            parts.append(str(step))
            node = node.get(step) if isinstance(node, dict) else None
    return ".".join(parts)


def _shown(location: Sequence[int | str], tree: Mapping[str, Any], child: str | None = None) -> str:
    """The offending value, unless it is a secret."""
    if location and location[0] in SECRET_KEYS:
        return "the value given"
    node = _value(location, tree)
    if child is not None and isinstance(node, dict):
        node = node.get(child)
    return json.dumps(node)


def _value(location: Sequence[int | str], tree: Mapping[str, Any]) -> Any:
    node: Any = tree
    for step in location:
        if isinstance(node, dict) and step not in node and node.get("kind") == step:
            continue  # a union's tag, which pydantic counts as a step
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return None
    return node


def _suggestion(location: Sequence[int | str], model: type[BaseModel]) -> str:
    """The known keys beside an unknown one, the likeliest first."""
    known = _known_keys(location[:-1], model)
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    if close:
        return f"Did you mean '{close[0]}'?"
    return f"Known are: {', '.join(sorted(known))}" if known else "See docs/settings.md"


def _known_keys(location: Sequence[int | str], model: type[BaseModel]) -> list[str]:
    candidates: list[type[BaseModel]] = [model]
    for step in location:
        if isinstance(step, int):
            continue
        below = [
            model
            for candidate in candidates
            for field in candidate.model_fields.values()
            if field.alias == step
            for model in _models_in(field.annotation)
        ]
        tagged = [model for model in candidates if _kind_of(model) == step]
        candidates = below or tagged or candidates
    return [field.alias or name for model in candidates for name, field in model.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def _kind_of(model: type[BaseModel]) -> str | None:
    kind = model.model_fields.get("kind")
    literals = getattr(kind.annotation, "__args__", ()) if kind else ()
    return str(literals[0]) if literals else None
