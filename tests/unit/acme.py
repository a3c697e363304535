"""An organisation to test the bootstrap with, and how to ask a recording who may do what."""

import json
from collections.abc import Callable

from infra.organisation import deploy_organisation
from infra.settings import parse
from infra.settings.organisation import OrganisationStack
from tests.unit.recorder import Recording, Registered, record
from tests.unit.stack_files import Tree, changed

ACME: Tree = {
    "organisation": {
        "project": "acme-platform",
        "region": "europe-west1",
        "github": {"repository": "acme/airflow", "repositoryId": "123456789", "ownerId": 4242},
        "administrators": "group:platform-administrators@acme.example",
        "breakGlass": "group:break-glass@acme.example",
        "environments": [
            {"name": "dev", "project": "acme-dev", "projectNumber": 111111111111, "ephemeralStacks": True},
            {"name": "staging", "project": "acme-staging", "projectNumber": "222222222222"},
            {"name": "prod", "project": "acme-prod", "projectNumber": "333333333333"},
        ],
    }
}
DEPLOYERS = {name: f"serviceAccount:deployer-{name}@acme-platform.iam.gserviceaccount.com" for name in ("dev", "prod")}
PREVIEWERS = {
    name: f"serviceAccount:previewer-{name}@acme-platform.iam.gserviceaccount.com" for name in ("dev", "prod")
}
PUBLISHER = "serviceAccount:image-publisher@acme-platform.iam.gserviceaccount.com"
ADMINISTRATORS = "group:platform-administrators@acme.example"
BREAK_GLASS = "group:break-glass@acme.example"


def organisation(tree: Tree) -> OrganisationStack:
    """The settings as Pulumi would hand them over: a JSON text for each key."""
    read = parse({key: json.dumps(value) for key, value in tree.items()})
    assert isinstance(read, OrganisationStack)
    return read


def bootstrapped(change: Callable[[Tree], object] | None = None, *, preview: bool = False) -> Recording:
    """What the program registers for a changed acme."""
    chosen = organisation(changed(ACME, change))
    return record(lambda: deploy_organisation(chosen), preview=preview)


def environments(tree: Tree) -> list[Tree]:
    found: list[Tree] = tree["organisation"]["environments"]
    return found


def grants(recording: Recording, member: str) -> list[Registered]:
    """Every role that ``member`` is given anywhere, but who may act as it."""
    return [
        r
        for r in recording.resources
        if r.inputs.get("member") == member and r.type != "gcp:serviceaccount/iAMMember:IAMMember"
    ]


def project_roles(recording: Recording, member: str) -> dict[str, Registered]:
    return {r.inputs["role"]: r for r in grants(recording, member) if r.type == "gcp:projects/iAMMember:IAMMember"}


def permissions(recording: Recording, role: str) -> list[str]:
    """Of a role of our own."""
    return next(
        r.inputs["permissions"]
        for r in recording.of("IAMCustomRole").values()
        if role == f"projects/{r.inputs['project']}/roles/{r.inputs['roleId']}"
    )
