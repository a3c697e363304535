"""Who reaches an organisation's state, keys and projects: its people, and CI's identities."""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.gcp.bootstrap.roles import grantable_roles
from components.gcp.bootstrap.state import stack_prefixes
from components.gcp.naming import BACKUP_READER, Organisation, cluster_key, project_role, secrets_key
from tests.unit.acme import (
    ADMINISTRATORS,
    BREAK_GLASS,
    DEPLOYERS,
    PREVIEWERS,
    bootstrapped,
    grants,
    permissions,
    project_roles,
)
from tests.unit.recorder import Recording
from tests.unit.stack_files import ROOT, deployed

READING = {"get", "list", "getIamPolicy"}
"""Last parts of permissions that change nothing."""


@pytest.fixture(scope="module")
def acme() -> Recording:
    return bootstrapped()


def test_the_state_bucket_is_private_and_keeps_what_was_there(acme: Recording) -> None:
    bucket = acme.one("Bucket", "state-bucket").inputs
    assert bucket["name"] == Organisation("acme-platform", "europe-west1").state_bucket
    assert bucket["uniformBucketLevelAccess"] is True
    assert bucket["publicAccessPrevention"] == "enforced"
    assert bucket["versioning"] == {"enabled": True}
    assert bucket["softDeletePolicy"] == {"retentionDurationSeconds": 30 * 24 * 3600}
    assert bucket["deletionPolicy"] == "PREVENT"
    assert bucket["forceDestroy"] is False


def test_the_state_bucket_lets_pulumi_replace_and_delete_objects(acme: Recording) -> None:
    bucket = acme.one("Bucket", "state-bucket").inputs
    assert bucket.keys().isdisjoint({"retentionPolicy", "defaultEventBasedHold", "enableObjectRetention"})


def test_an_earlier_state_goes_only_when_it_is_both_old_and_one_of_many(acme: Recording) -> None:
    rules = acme.one("Bucket", "state-bucket").inputs["lifecycleRules"]
    conditions = [rule["condition"] for rule in rules]
    assert {"numNewerVersions": 100, "daysSinceNoncurrentTime": 90} in conditions
    for condition in conditions:
        # Never a live object: each condition holds for versions that were replaced or deleted only.
        assert condition["daysSinceNoncurrentTime"] == 90


def reachable(recording: Recording, member: str, roles: set[str], name: str) -> bool:
    """Whether one of ``roles`` on the state bucket lets ``member`` at the object ``name``."""
    for one in grants(recording, member):
        if one.kind != "BucketIAMMember" or one.inputs["role"] not in roles:
            continue
        condition = one.inputs.get("condition")
        if condition is None:
            return True
        terms = condition["expression"].split(" || ")
        prefixes = [re.fullmatch(r"resource\.name\.startsWith\('([^']+)'\)", term) for term in terms]
        resource = f"projects/_/buckets/acme-platform-pulumi-state/objects/{name}"
        if any(resource.startswith(prefix.group(1)) for prefix in prefixes):
            return True
    return False


WRITES = {"roles/storage.objectUser", "roles/storage.objectAdmin", "roles/storage.admin"}
READS = {*WRITES, "roles/storage.objectViewer"}


def objects_of(stack: str) -> list[str]:
    """What Pulumi makes for a stack (layout 1 of its own backend)."""
    return [
        f".pulumi/stacks/airflow-platform/{stack}.json",
        f".pulumi/stacks/airflow-platform/{stack}.json.bak",
        f".pulumi/stacks/airflow-platform/{stack}.pulumi-tags",
        f".pulumi/history/airflow-platform/{stack}/{stack}-1700000000000000000.history.json",
        f".pulumi/backups/airflow-platform/{stack}/{stack}.1700000000000000000.json",
        f".pulumi/locks/organization/airflow-platform/{stack}/6f7c.json",
    ]


@pytest.mark.parametrize(
    ("environment", "stack", "may"),
    [
        ("dev", "dev", True),
        ("dev", "dev-alice", True),
        ("dev", "development", False),
        ("dev", "prod", False),
        ("dev", "bootstrap", False),
        ("prod", "prod", True),
        ("prod", "prod-eu", False),
        ("prod", "dev", False),
    ],
)
def test_a_deployer_writes_and_a_previewer_reads_the_state_of_its_own_environment_only(
    acme: Recording, environment: str, stack: str, may: bool
) -> None:
    for name in objects_of(stack):
        assert reachable(acme, DEPLOYERS[environment], WRITES, name) == may, name
        assert reachable(acme, PREVIEWERS[environment], READS, name) == may, name
        assert not reachable(acme, PREVIEWERS[environment], WRITES, name), name


def test_everyone_who_uses_the_state_reads_its_layout_and_lists_names(acme: Recording) -> None:
    for member in (DEPLOYERS["prod"], PREVIEWERS["prod"]):
        assert reachable(acme, member, READS, ".pulumi/meta.yaml")
        assert not reachable(acme, member, WRITES, ".pulumi/meta.yaml")
        listing = [r for r in grants(acme, member) if r.inputs["role"] == "roles/storage.legacyBucketReader"]
        # A condition on an object's name never holds for the bucket, which is what listing asks about.
        assert [r.inputs.get("condition") for r in listing] == [None]


def test_administrators_write_and_break_glass_reads_all_state(acme: Recording) -> None:
    for name in [*objects_of("prod"), *objects_of("bootstrap")]:
        assert reachable(acme, ADMINISTRATORS, WRITES, name)
        assert reachable(acme, BREAK_GLASS, READS, name)
        assert not reachable(acme, BREAK_GLASS, WRITES, name)


def test_no_condition_has_more_operators_than_google_allows(acme: Recording) -> None:
    conditions = [r.inputs["condition"]["expression"] for r in acme.resources if r.inputs.get("condition")]
    assert len(conditions) == 3 * (3 + 1)
    assert all(len(re.findall(r"\|\||&&|!", expression)) <= 12 for expression in conditions)


names = st.from_regex(r"[a-z]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)


@given(own=names, other=names)
def test_no_two_stacks_share_an_object_unless_one_is_ephemeral_beside_the_other(own: str, other: str) -> None:
    for ephemeral in (False, True):
        prefixes = tuple(stack_prefixes("airflow-platform", own, ephemeral))
        beside = own == other or (ephemeral and other.startswith(f"{own}-"))
        assert {name.startswith(prefixes) for name in objects_of(other)} == {beside}


def test_keys_rotate_and_can_be_saved_for_thirty_days_after_a_mistake(acme: Recording) -> None:
    keys = acme.of("CryptoKey")
    stacks = {secrets_key(stack) for stack in ("bootstrap", "dev", "staging", "prod")}
    assert set(keys) == stacks | {cluster_key(project) for project in ("acme-dev", "acme-staging", "acme-prod")}
    for name, key in keys.items():
        assert key.inputs["name"] == name
        assert key.inputs["destroyScheduledDuration"] == "2592000s"
        assert key.inputs["rotationPeriod"] == "7776000s"
        assert key.inputs["deletionPolicy"] == "PREVENT"


def users(recording: Recording, key: str) -> dict[str, str]:
    """Who may do what with a key: the last part of the role."""
    return {
        r.inputs["member"]: r.inputs["role"].rpartition(".")[2]
        for r in recording.of("CryptoKeyIAMMember").values()
        if r.inputs["cryptoKeyId"] == f"{key}-id"
    }


def test_an_environments_secrets_are_readable_by_its_own_identities_only(acme: Recording) -> None:
    assert users(acme, secrets_key("prod")) == {
        ADMINISTRATORS: "cryptoKeyEncrypterDecrypter",
        DEPLOYERS["prod"]: "cryptoKeyEncrypterDecrypter",
        PREVIEWERS["prod"]: "cryptoKeyDecrypter",
        BREAK_GLASS: "cryptoKeyDecrypter",
    }
    assert users(acme, secrets_key("bootstrap")) == {
        ADMINISTRATORS: "cryptoKeyEncrypterDecrypter",
        BREAK_GLASS: "cryptoKeyDecrypter",
    }


def test_a_clusters_key_is_for_the_gke_of_its_project_alone(acme: Recording) -> None:
    assert users(acme, cluster_key("acme-prod")) == {
        "serviceAccount:service-333333333333@container-engine-robot.iam.gserviceaccount.com": (
            "cryptoKeyEncrypterDecrypter"
        )
    }
    grant = acme.one("CryptoKeyIAMMember", f"{cluster_key('acme-prod')}-gke")
    assert "acme-prod-gke-agent" in grant.dependencies  # a role for an agent that isn't there is refused


def test_only_runs_of_our_repository_on_its_trusted_branch_are_taken(acme: Recording) -> None:
    provider = acme.one("WorkloadIdentityPoolProvider", "federation-provider").inputs
    assert provider["oidc"] == {"issuerUri": "https://token.actions.githubusercontent.com"}
    assert provider["attributeCondition"].split(" && ") == [
        'assertion.repository_id == "123456789"',
        'assertion.repository_owner_id == "4242"',
        'assertion.ref == "refs/heads/main"',
    ]
    assert provider["attributeMapping"] == {
        "google.subject": '"repo:" + assertion.repository + ":environment:" + assertion.environment'
    }


def test_each_identity_is_one_github_environments_and_nobody_elses(acme: Recording) -> None:
    allowed = [r for r in acme.resources if r.type == "gcp:serviceaccount/iAMMember:IAMMember"]
    assert {r.inputs["role"] for r in allowed} == {"roles/iam.workloadIdentityUser"}
    assert all(r.inputs["member"].startswith("principal://iam.googleapis.com/") for r in allowed)
    who = sorted(
        (
            r.inputs["serviceAccountId"].rpartition("/")[2].partition("@")[0],
            r.inputs["member"].rpartition("/subject/repo:acme/airflow:environment:")[2],
        )
        for r in allowed
    )
    assert who == sorted(
        [
            ("image-publisher", "images"),
            *((f"deployer-{name}", name) for name in ("dev", "staging", "prod")),
            *((f"previewer-{name}", f"{name}-preview") for name in ("dev", "staging", "prod")),
            # No approval there: only the trusted branch's own code runs in it.
            *((f"previewer-{name}", f"{name}-drift") for name in ("dev", "staging", "prod")),
        ]
    )


def test_identities_are_out_of_every_deployers_reach(acme: Recording) -> None:
    assert {r.inputs["project"] for r in acme.of("Account").values()} == {"acme-platform"}
    for name, member in DEPLOYERS.items():
        assert {r.inputs["project"] for r in project_roles(acme, member).values()} == {f"acme-{name}"}


def test_a_previewer_can_change_nothing(acme: Recording) -> None:
    given = grants(acme, PREVIEWERS["prod"])
    known_to_read = {
        "roles/cloudkms.cryptoKeyDecrypter",
        "roles/compute.networkViewer",
        "roles/container.viewer",
        "roles/dns.reader",
        "roles/gkebackup.viewer",
        "roles/monitoring.dashboardViewer",
        "roles/secretmanager.viewer",
        "roles/storage.legacyBucketReader",
        "roles/storage.objectViewer",
    }
    own = "projects/acme-prod/roles/airflowPlatformPreviewer"
    assert {r.inputs["role"] for r in given} == known_to_read | {own}
    assert {permission.rpartition(".")[2] for permission in permissions(acme, own)} <= READING


def test_neither_previewer_nor_deployer_has_a_role_that_reads_secrets_or_what_airflow_wrote(acme: Recording) -> None:
    for member in (PREVIEWERS["dev"], DEPLOYERS["dev"]):
        roles = project_roles(acme, member)
        assert roles.keys().isdisjoint(
            {
                "roles/cloudsql.viewer",  # exports databases
                "roles/iam.securityReviewer",  # reads logs
                "roles/secretmanager.admin",
                "roles/secretmanager.secretAccessor",
                "roles/storage.admin",
                "roles/storage.objectViewer",
            }
        )
        own = {one for role in roles if role.startswith("projects/") for one in permissions(acme, role)}
        assert own.isdisjoint({"secretmanager.versions.access", "storage.objects.get", "cloudsql.instances.export"})
        assert own


def test_only_where_stacks_are_ephemeral_may_a_deployer_delete_what_holds_data(acme: Recording) -> None:
    deleting = {"secretmanager.secrets.delete", "storage.objects.delete"}
    for name, expected in (("dev", deleting), ("prod", set[str]())):
        roles = [role for role in project_roles(acme, DEPLOYERS[name]) if role.startswith("projects/")]
        assert {one for role in roles for one in permissions(acme, role)} & deleting == expected


def test_a_deployer_grants_only_the_roles_of_the_platform(acme: Recording) -> None:
    grant = project_roles(acme, DEPLOYERS["prod"])["roles/resourcemanager.projectIamAdmin"]
    expression = grant.inputs["condition"]["expression"]
    matched = re.fullmatch(
        r"api\.getAttribute\('iam\.googleapis\.com/modifiedGrantsByRole', \[\]\)\.hasOnly\(\[(.*)\]\)", expression
    )
    grantable = grantable_roles("acme-prod")
    assert re.findall(r"'([^']+)'", matched.group(1)) == list(grantable)
    assert len(grantable) <= 10
    assert not [role for role in grantable if "admin" in role.lower() or role.startswith("roles/iam.")]
    # Roles of our own are defined, and let nobody at data.
    own = [role for role in grantable if role.startswith("projects/")]
    assert [permissions(acme, role) for role in own] == [["cloudsql.backupRuns.list"]]


OWN_ROLE = "project_role(project, BACKUP_READER)"


def granted_by_environments() -> set[str]:
    """Roles on a whole project in the environments' components, read from the source."""
    found = set[str]()
    for path in Path(ROOT / "components").rglob("*.py"):
        if "bootstrap" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("gcp.projects.IAM"):
                role = next(keyword.value for keyword in node.keywords if keyword.arg == "role")
                own = ast.unparse(role) == OWN_ROLE
                found.add(project_role("acme-prod", BACKUP_READER) if own else str(ast.literal_eval(role)))
    return found


def test_a_deployer_may_grant_what_the_environments_components_grant() -> None:
    granted = granted_by_environments()
    assert "roles/container.defaultNodeServiceAccount" in granted
    assert granted <= set(grantable_roles("acme-prod"))


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_no_update_of_a_shipped_stack_is_refused_for_a_role_that_its_deployer_may_not_grant(stack: str) -> None:
    made = [r.inputs for r in deployed(stack).resources if r.type == "gcp:projects/iAMMember:IAMMember"]
    assert len(made) >= 4
    assert [one["role"] for one in made if one["role"] not in grantable_roles(one["project"])] == []
