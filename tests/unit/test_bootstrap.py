"""What an organisation makes once: settings, and what the program registers for them."""

from collections.abc import Callable

import pulumi
import pytest
import yaml

from components.gcp.bootstrap.projects import ENVIRONMENT_SERVICES, ORGANISATION_SERVICES
from components.gcp.naming import cluster_key, secrets_key
from infra.settings import PROJECT, SettingsError
from tests.unit.acme import (
    ACME,
    bootstrapped,
    environments,
    organisation,
)
from tests.unit.recorder import Recording
from tests.unit.stack_files import ROOT, Tree, changed


def shipped_stack() -> Tree:
    """The stack file as it is, placeholders and all."""
    text = (ROOT / "stacks" / "Pulumi.bootstrap.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)["config"].items()
    return {key.removeprefix(f"{PROJECT}:"): value for key, value in config if key.startswith(f"{PROJECT}:")}


def problems(change: Callable[[Tree], object]) -> str:
    with pytest.raises(SettingsError) as refused:
        organisation(changed(ACME, change))
    return str(refused.value)


@pytest.fixture(scope="module")
def acme() -> Recording:
    return bootstrapped()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t["organisation"].update(regoin="x"), "organisation.regoin: unknown key. Did you mean 'region'?"),
        (lambda t: t["organisation"].pop("breakGlass"), "organisation.breakGlass: is missing"),
        (lambda t: t["organisation"].update(administrators="a@b.c"), 'organisation.administrators: "a@b.c" does not'),
        (
            lambda t: t["organisation"]["github"].update(repository="acme"),
            'organisation.github.repository: "acme" does not have the form',
        ),
        (lambda t: t["organisation"]["github"].pop("repositoryId"), "organisation.github.repositoryId: is missing"),
        (
            lambda t: environments(t)[0].update(projectNumber="acme-dev"),
            'organisation.environments.dev.projectNumber: "acme-dev" does not have the form',
        ),
        (
            lambda t: environments(t)[0].update(project="acme-platform"),
            "organisation.environments.dev.project: is the organisation's own",
        ),
        (
            lambda t: environments(t)[1].update(project="acme-dev"),
            "project acme-dev has two numbers, 111111111111 and 222222222222",
        ),
        (
            lambda t: environments(t)[1].update(projectNumber="111111111111"),
            "organisation.environments.staging.projectNumber: 111111111111 is also given for project acme-dev",
        ),
        (lambda t: environments(t)[1].update(name="prod"), "the name 'prod' is used 2 times"),
        (lambda t: environments(t)[1].update(name="bootstrap"), "is the name of the organisation's own stack"),
        (lambda t: environments(t)[1].update(name="dev-eu"), "environments.dev-eu: begins with 'dev-'"),
        (lambda t: environments(t)[1].update(name="prod-preview"), "is what GitHub calls the previews of 'prod'"),
        (
            lambda t: (
                t["organisation"]["github"].update(repository="acme/" + "a" * 100),
                environments(t)[2].update(name="p" * 20),
            ),
            "and Google takes 127. Shorten",
        ),
        (
            lambda t: t["organisation"].update(state={"softDeleteDays": 91}),
            "organisation.state.softDeleteDays: 91 must be less than or equal to 90",
        ),
        (lambda t: t["organisation"].update(environments=[]), "should have at least 1 item"),
    ],
)
def test_a_mistake_is_named_by_its_key(change: Callable[[Tree], object], expected: str) -> None:
    assert expected in problems(change)


def test_a_name_that_begins_like_another_is_fine_where_nothing_is_ephemeral() -> None:
    read = organisation(changed(ACME, lambda t: environments(t)[1].update(name="prod-eu")))
    assert [one.name for one in read.organisation.environments] == ["dev", "prod-eu", "prod"]


def test_the_shipped_stack_file_is_refused_until_every_placeholder_is_filled_in() -> None:
    with pytest.raises(SettingsError) as refused:
        organisation(shipped_stack())
    text = str(refused.value)
    assert text.count("is a placeholder") == text.count("\n  - ") == 12
    for key in ("project", "github.repositoryId", "breakGlass", "environments.prod.projectNumber"):
        assert f"organisation.{key}: " in text


def test_the_shipped_stack_file_is_whole_once_it_is_filled_in() -> None:
    def fill(tree: Tree) -> None:
        tree["organisation"].update(
            {key: ACME["organisation"][key] for key in ("project", "github", "administrators", "breakGlass")}
        )
        for shipped, own in zip(environments(tree), environments(ACME), strict=True):
            shipped.update(project=own["project"], projectNumber=own["projectNumber"])

    assert organisation(changed(shipped_stack(), fill)) == organisation(ACME)


def test_every_resource_has_a_name_of_its_own_within_its_type_and_parent(acme: Recording) -> None:
    names = [(r.type, r.parent, r.name) for r in acme.resources]
    assert len(names) == len(set(names)) > 200


def test_every_component_registers_its_outputs_and_every_resource_is_part_of_one(acme: Recording) -> None:
    components = {r.name for r in acme.resources if r.type.startswith("airflow-platform:bootstrap:")}
    assert components <= acme.components_registered
    assert {r.parent for r in acme.resources if r.custom} <= components


def test_nothing_but_the_apis_is_made_before_every_api_is_on(acme: Recording) -> None:
    kinds = [r.kind for r in acme.resources if r.custom]
    apis = [index for index, kind in enumerate(kinds) if kind in {"Service", "ServiceIdentity"}]
    assert apis == list(range(len(apis)))
    assert "acme-prod-container" in acme.one("ServiceIdentity", "acme-prod-gke-agent").dependencies


def test_an_api_is_never_switched_off(acme: Recording) -> None:
    services = acme.of("Service").values()
    assert len(services) == 3 * len(ENVIRONMENT_SERVICES) + len(ORGANISATION_SERVICES) + 1
    assert all(one.inputs["disableOnDestroy"] is False for one in services)


def test_what_cannot_be_made_again_is_protected(acme: Recording) -> None:
    lasting = {
        "Account",
        "Bucket",
        "CryptoKey",
        "KeyRing",
        "Policy",
        "Repository",
        "WorkloadIdentityPool",
        "WorkloadIdentityPoolProvider",
    }
    by_hand = {r.kind for r in acme.resources if r.custom and not r.protect}
    assert by_hand.isdisjoint(lasting)
    assert {r.kind for r in acme.resources if r.protect} == lasting


def test_there_is_no_key_of_a_service_account_and_no_secret_anywhere(acme: Recording) -> None:
    types = {r.type for r in acme.resources}
    assert not any(kind in one for one in types for kind in ("serviceaccount/key", "random:", "secretmanager"))
    assert not any(r.secret_paths for r in acme.resources)


def test_nobody_gets_a_primitive_role_and_nobody_a_role_on_the_whole_organisations_project(acme: Recording) -> None:
    roles = [r for r in acme.resources if "role" in r.inputs]
    assert len(roles) > 80
    assert not [r.name for r in roles if r.inputs["role"] in {"roles/owner", "roles/editor", "roles/viewer"}]
    assert {r.inputs["project"] for r in roles if r.type == "gcp:projects/iAMMember:IAMMember"} == {
        "acme-dev",
        "acme-staging",
        "acme-prod",
    }


def test_two_environments_in_one_project_share_what_belongs_to_the_project() -> None:
    def change(tree: Tree) -> None:
        environments(tree)[1].update(project="acme-dev", projectNumber=111111111111)

    shared = bootstrapped(change)
    assert len(shared.of("Service")) == 2 * len(ENVIRONMENT_SERVICES) + len(ORGANISATION_SERVICES) + 1
    assert set(shared.of("Policy")) == {"admission-acme-dev", "admission-acme-prod"}
    assert set(shared.of("ServiceIdentity")) == {"acme-dev-gke-agent", "acme-prod-gke-agent"}
    assert len(shared.of("IAMCustomRole")) == 2 * 4
    assert {cluster_key("acme-dev"), cluster_key("acme-prod")} == {n for n in shared.of("CryptoKey") if "clusters" in n}
    # and nothing of what belongs to an environment
    assert {"deployer-dev", "deployer-staging"} < {r.inputs["accountId"] for r in shared.of("Account").values()}
    assert {secrets_key("dev"), secrets_key("staging")} < set(shared.of("CryptoKey"))


def test_an_environment_more_changes_nothing_of_the_others(acme: Recording) -> None:
    def change(tree: Tree) -> None:
        environments(tree).append({"name": "qa", "project": "acme-qa", "projectNumber": "444444444444"})

    grown = {(r.type, r.parent, r.name): r for r in bootstrapped(change).resources}
    for before in acme.resources:
        if not before.custom:
            continue
        assert grown[before.type, before.parent, before.name].inputs == before.inputs, before.name
    assert len(grown) > len(acme.resources) + 50


def test_a_first_preview_knows_as_many_resources_as_the_update() -> None:
    assert len(bootstrapped(preview=True).resources) == len(bootstrapped().resources)


def test_the_outputs_say_what_ci_and_a_new_stack_need(monkeypatch: pytest.MonkeyPatch) -> None:
    exported: dict[str, object] = {}
    monkeypatch.setattr(pulumi, "export", lambda name, value: exported.update({name: value}))
    bootstrapped()
    assert set(exported) == {
        "stateBucket",
        "registry",
        "workloadIdentityProvider",
        "imagePublisher",
        "secretsProvider",
        "environments",
    }
    assert exported["registry"] == "europe-west1-docker.pkg.dev/acme-platform"
    assert set(exported["environments"]) == {"dev", "staging", "prod"}
