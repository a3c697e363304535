"""An organisation's registry, and which images its clusters run."""

import pytest

from components.gcp.bootstrap import admitted_patterns, is_admitted
from components.gcp.naming import PULL_THROUGH, Organisation
from components.versions import IMAGES, ImageSource
from tests.unit.acme import (
    DEPLOYERS,
    PUBLISHER,
    bootstrapped,
    grants,
)
from tests.unit.recorder import Recording


@pytest.fixture(scope="module")
def acme() -> Recording:
    return bootstrapped()


def test_our_images_keep_their_tags_and_nothing_that_has_one_is_deleted(acme: Recording) -> None:
    images = acme.one("Repository", "registry-images").inputs
    assert images["dockerConfig"] == {"immutableTags": True}
    assert images["cleanupPolicyDryRun"] is False
    deleting = [policy for policy in images["cleanupPolicies"] if policy["action"] == "DELETE"]
    assert [policy["condition"] for policy in deleting] == [{"tagState": "UNTAGGED", "olderThan": "2592000s"}]
    keeping = [policy for policy in images["cleanupPolicies"] if policy["action"] == "KEEP"]
    assert [policy["mostRecentVersions"] for policy in keeping] == [{"keepCount": 20}]


def test_every_public_registry_has_its_copy_and_no_copy_is_ever_cleared_away(acme: Recording) -> None:
    copies = {r.inputs["repositoryId"]: r.inputs for r in acme.of("Repository").values()}
    assert set(copies) == {"images", *PULL_THROUGH.values()}
    upstreams = {}
    for registry, repository in PULL_THROUGH.items():
        assert copies[repository]["mode"] == "REMOTE_REPOSITORY"
        assert "cleanupPolicies" not in copies[repository]
        remote = copies[repository]["remoteRepositoryConfig"]
        upstreams[registry] = remote.get("dockerRepository") or remote["commonRepository"]["uri"]
    assert upstreams == {
        "docker.io": {"publicRepository": "DOCKER_HUB"},
        "quay.io": "https://quay.io",
        "docker.elastic.co": "https://docker.elastic.co",
        "registry.k8s.io": "https://registry.k8s.io",
        "gcr.io/cloud-sql-connectors": "projects/cloud-sql-connectors/locations/us/repositories/gcr.io",
    }


def test_every_service_account_of_an_environments_project_pulls_and_only_the_publisher_pushes(acme: Recording) -> None:
    members = acme.of("RepositoryIamMember").values()
    for repository in ("images", *PULL_THROUGH.values()):
        readers = {r.inputs["member"] for r in members if r.inputs["repository"] == repository}
        nodes = "principalSet://cloudresourcemanager.googleapis.com/projects/333333333333/type/ServiceAccount"
        assert {nodes, DEPLOYERS["prod"]} < readers
    writers = [r for r in members if r.inputs["role"] != "roles/artifactregistry.reader"]
    assert [(r.inputs["member"], r.inputs["repository"], r.inputs["role"]) for r in writers] == [
        (PUBLISHER, "images", "roles/artifactregistry.writer")
    ]


def test_the_publisher_may_do_nothing_else(acme: Recording) -> None:
    assert [r.name for r in grants(acme, PUBLISHER)] == ["registry-images-publisher"]


def test_scanning_is_a_setting() -> None:
    unscanned = bootstrapped(lambda t: t["organisation"].update(images={"scan": False}))
    config = unscanned.one("Repository", "registry-images").inputs["vulnerabilityScanningConfig"]
    assert config == {"enablementConfig": "DISABLED"}
    assert "acme-platform-containerscanning" not in unscanned.of("Service")


def test_clusters_run_nothing_but_our_registrys_images_and_googles_own(acme: Recording) -> None:
    for project in ("acme-dev", "acme-staging", "acme-prod"):
        policy = acme.one("Policy", f"admission-{project}").inputs
        assert policy["project"] == project
        assert policy["globalPolicyEvaluationMode"] == "ENABLE"
        assert policy["defaultAdmissionRule"] == {
            "evaluationMode": "ALWAYS_DENY",
            "enforcementMode": "ENFORCED_BLOCK_AND_AUDIT_LOG",
        }
        patterns = [one["namePattern"] for one in policy["admissionWhitelistPatterns"]]
        assert patterns == admitted_patterns(Organisation("acme-platform", "europe-west1"))
        assert all(pattern.startswith("europe-west1-docker.pkg.dev/acme-platform/") for pattern in patterns)


HERE = "europe-west1-docker.pkg.dev/acme-platform"
DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("image", "admitted"),
    [
        (f"{HERE}/images/dags:1.2@{DIGEST}", True),
        (f"{HERE}/images/team-a/dags@{DIGEST}", True),
        (f"{HERE}/docker-hub/library/postgres:17.6", True),
        (f"{HERE}/cloud-sql-connectors/cloud-sql-proxy:2", True),
        (f"{HERE}/other/dags:1.2", False),
        (f"{HERE}/images-of-mine/dags:1.2", False),
        ("europe-west1-docker.pkg.dev/acme-platform-2/images/dags:1.2", False),
        ("us-docker.pkg.dev/acme-platform/images/dags:1.2", False),
        ("docker.io/library/postgres:17.6", False),
        (f"evil.example/{HERE}/images/dags:1.2", False),
    ],
)
def test_an_image_is_admitted_by_its_path(image: str, admitted: bool) -> None:
    assert is_admitted(image, admitted_patterns(Organisation("acme-platform", "europe-west1"))) == admitted


@pytest.mark.parametrize(
    ("pattern", "image", "admitted"),
    [
        ("gcr.io/nginx*", "gcr.io/nginx@latest", True),  # the documentation's own examples
        ("gcr.io/nginx*", "gcr.io/nginx/image", False),
        ("gcr.io/nginx**", "gcr.io/nginx/image", True),
        ("gcr.io/nginx", "gcr.io/nginx", True),
        ("gcr.io/nginx", "gcr.io/nginx:1", False),
        ("gcr.io/ngin.", "gcr.io/nginx", False),
    ],
)
def test_patterns_mean_what_google_says(pattern: str, image: str, admitted: bool) -> None:
    assert is_admitted(image, [pattern]) == admitted


@pytest.mark.parametrize("name", sorted(IMAGES))
def test_every_public_image_of_the_platform_is_admitted_through_its_copy_and_not_from_where_it_comes(name: str) -> None:
    patterns = admitted_patterns(Organisation("acme-platform", "europe-west1"))
    assert is_admitted(ImageSource(pull_through=HERE, repositories=PULL_THROUGH).reference(name), patterns)
    assert not is_admitted(ImageSource().reference(name), patterns)
