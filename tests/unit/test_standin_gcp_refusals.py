"""The gcp stand-in says no where Google would, and replaces what Google would replace."""

import pytest

from testbed.engine.comparing import changes
from testbed.engine.description import load
from testbed.engine.diffing import path_text
from testbed.engine.judging import refusals
from testbed.engine.values import Properties
from tests.unit.gcp_examples import (
    ADMISSION,
    CLUSTER,
    GOOD,
    INSTANCE,
    NAT,
    PLAN,
    POOL,
    REPOSITORY,
    SECRET,
    USER,
    good_cluster,
    good_instance,
    good_pool,
)

RULES_OF_GCP = load("gcp")
SUBNETWORK = "gcp:compute/subnetwork:Subnetwork"


def wrong(token: str, inputs: Properties) -> dict[str, str]:
    return {found.property: found.reason for found in refusals(RULES_OF_GCP.types[token], inputs, "the file")}


@pytest.mark.parametrize("token", GOOD)
def test_what_a_platform_team_would_ask_for_is_accepted(token: str) -> None:
    assert wrong(token, GOOD[token]) == {}


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"initialNodeCount": 0}, "initialNodeCount"),
        ({"initialNodeCount": None, "removeDefaultNodePool": None}, "initialNodeCount"),
        ({"clusterIpv4Cidr": "10.0.0.0/14"}, "clusterIpv4Cidr"),
        ({"networkPolicy": {"enabled": True}}, "networkPolicy.enabled"),
        ({"privateClusterConfig": {"enablePrivateEndpoint": True}}, "privateClusterConfig.enablePrivateNodes"),
        ({"privateClusterConfig": {}}, "privateClusterConfig.enablePrivateEndpoint"),
        ({"releaseChannel": {"channel": "WEEKLY"}}, "releaseChannel.channel"),
        ({"maintenancePolicy": {}}, "maintenancePolicy.dailyMaintenanceWindow"),
        ({"enableAutopilot": False, "enableShieldedNodes": True}, "enableShieldedNodes"),
        ({"binaryAuthorization": {"enabled": True, "evaluationMode": "DISABLED"}}, "binaryAuthorization.enabled"),
        ({"name": "a" * 41}, "name"),
        ({"nodePools": []}, "nodePools"),
        (
            {
                "ipAllocationPolicy": {
                    "clusterSecondaryRangeName": "pods",
                    "servicesSecondaryRangeName": "services",
                    "clusterIpv4CidrBlock": "/14",
                }
            },
            "ipAllocationPolicy.clusterIpv4CidrBlock",
        ),
    ],
)
def test_a_cluster_that_google_would_refuse_is_refused(changed: Properties, where: str) -> None:
    assert where in wrong(CLUSTER, good_cluster(**changed))


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"nodeCount": 3}, "nodeCount"),
        ({"nodeCount": 3, "initialNodeCount": 1, "autoscaling": None}, "nodeCount"),
        ({"autoscaling": {"minNodeCount": 1, "totalMaxNodeCount": 5}}, "autoscaling.totalMaxNodeCount"),
        ({"autoscaling": {"minNodeCount": 3, "maxNodeCount": 2}}, "autoscaling.minNodeCount"),
        ({"autoscaling": {"minNodeCount": 3}}, "autoscaling.maxNodeCount"),
        ({"upgradeSettings": {"strategy": "BLUE_GREEN", "maxSurge": 1}}, "upgradeSettings.maxSurge"),
        ({"upgradeSettings": {"blueGreenSettings": {}}}, "upgradeSettings.blueGreenSettings"),
        ({"upgradeSettings": {"maxSurge": 0, "maxUnavailable": 0}}, "upgradeSettings.maxUnavailable"),
        (
            {"nodeConfig": {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}},
            "nodeConfig.taints[0].effect",
        ),
        ({"nodeConfig": {"machinetype": "e2"}}, "nodeConfig.machinetype"),
    ],
)
def test_a_node_pool_that_google_would_refuse_is_refused(changed: Properties, where: str) -> None:
    assert where in wrong(POOL, good_pool(**changed))


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"backupConfiguration": {"enabled": False}}, "settings.backupConfiguration.enabled"),
        ({"backupConfiguration": {"enabled": True}}, "settings.backupConfiguration.pointInTimeRecoveryEnabled"),
        ({"edition": "ENTERPRISE_PLUS"}, "settings.tier"),
        ({"edition": None}, "settings.tier"),
        ({"tier": "db-perf-optimized-N-2"}, "settings.tier"),
        ({"ipConfiguration": {"ipv4Enabled": False}}, "settings.ipConfiguration.privateNetwork"),
        ({"ipConfiguration": {"privateNetwork": "n"}}, "settings.ipConfiguration.privateNetwork"),
        ({"dataCacheConfig": {"dataCacheEnabled": True}}, "settings.dataCacheConfig.dataCacheEnabled"),
        ({"maintenanceWindow": {"hour": 3}}, "settings.maintenanceWindow.day"),
        ({"diskSize": 5}, "settings.diskSize"),
        (
            {
                "backupConfiguration": {
                    "enabled": True,
                    "pointInTimeRecoveryEnabled": True,
                    "transactionLogRetentionDays": 14,
                }
            },
            "settings.backupConfiguration.transactionLogRetentionDays",
        ),
    ],
)
def test_a_database_that_google_would_refuse_is_refused(settings: Properties, where: str) -> None:
    assert where in wrong(INSTANCE, good_instance(settings))


def test_an_older_postgresql_without_an_edition_may_have_a_custom_tier() -> None:
    assert wrong(INSTANCE, good_instance({"edition": None}, databaseVersion="POSTGRES_15")) == {}


@pytest.mark.parametrize(
    ("token", "changed", "where"),
    [
        (NAT, {"natIps": None}, "natIps"),
        (NAT, {"enableDynamicPortAllocation": True, "enableEndpointIndependentMapping": True}, None),
        (NAT, {"maxPortsPerVm": 64}, "enableDynamicPortAllocation"),
        (REPOSITORY, {"mode": None}, "mode"),
        (REPOSITORY, {"remoteRepositoryConfig": {}}, None),
        (
            REPOSITORY,
            {"cleanupPolicies": [{"id": "x", "action": "DELETE", "mostRecentVersions": {"keepCount": 5}}]},
            "cleanupPolicies[0].action",
        ),
        (PLAN, {"retentionPolicy": None}, "retentionPolicy.backupRetainDays"),
        (
            PLAN,
            {"retentionPolicy": {"backupRetainDays": 3, "backupDeleteLockDays": 7}},
            "retentionPolicy.backupRetainDays",
        ),
        (
            ADMISSION,
            {
                "defaultAdmissionRule": {
                    "evaluationMode": "REQUIRE_ATTESTATION",
                    "enforcementMode": "ENFORCED_BLOCK_AND_AUDIT_LOG",
                }
            },
            "defaultAdmissionRule.requireAttestationsBies",
        ),
        (USER, {"password": "x"}, "password"),
        (USER, {"name": "a@p.iam.gserviceaccount.com"}, "name"),
        (SECRET, {"replication": {}}, "replication.auto"),
        (SECRET, {"rotation": {"rotationPeriod": "3600s"}}, "topics"),
    ],
)
def test_other_things_that_google_would_refuse_are_refused(token: str, changed: Properties, where: str | None) -> None:
    found = wrong(token, {**GOOD[token], **changed})
    assert found
    assert where is None or where in found


def forced(token: str, old: Properties, new: Properties) -> dict[str, bool]:
    found = changes(RULES_OF_GCP.types[token], old, new, RULES_OF_GCP.blank_is_missing)
    return {path_text(change.path): replaced for change, replaced in found.items()}


@pytest.mark.parametrize(
    ("token", "old", "new", "expected"),
    [
        (
            POOL,
            {"nodeConfig": {"machineType": "a"}},
            {"nodeConfig": {"machineType": "b"}},
            {"nodeConfig.machineType": False},
        ),
        (POOL, {"nodeConfig": {"spot": False}}, {"nodeConfig": {"spot": True}}, {"nodeConfig.spot": True}),
        (POOL, {"initialNodeCount": 1}, {"initialNodeCount": 2}, {"initialNodeCount": True}),
        (
            POOL,
            {"autoscaling": {"maxNodeCount": 3}},
            {"autoscaling": {"maxNodeCount": 5}},
            {"autoscaling.maxNodeCount": False},
        ),
        (POOL, {"nodeConfig": {"oauthScopes": ["a", "b"]}}, {"nodeConfig": {"oauthScopes": ["b", "a"]}}, {}),
        (CLUSTER, {"location": "a"}, {"location": "b"}, {"location": True}),
        (
            CLUSTER,
            {"enableFqdnNetworkPolicy": True},
            {"enableFqdnNetworkPolicy": False},
            {"enableFqdnNetworkPolicy": True},
        ),
        (CLUSTER, {"nodeLocations": ["a"]}, {}, {}),
        (INSTANCE, {"settings": {"tier": "a"}}, {"settings": {"tier": "b"}}, {"settings.tier": False}),
        (INSTANCE, {"settings": {"diskSize": 50}}, {"settings": {"diskSize": 20}}, {}),
        (
            INSTANCE,
            {"settings": {"diskSize": 50, "diskAutoresize": False}},
            {"settings": {"diskSize": 20, "diskAutoresize": False}},
            {"settings.diskSize": True},
        ),
        (
            INSTANCE,
            {"settings": {"ipConfiguration": {"privateNetwork": "a"}}},
            {"settings": {"ipConfiguration": {}}},
            {"settings.ipConfiguration.privateNetwork": True},
        ),
        (INSTANCE, {"region": "a"}, {"region": "b"}, {"region": True}),
        (SUBNETWORK, {"ipCidrRange": "10.0.0.0/20"}, {"ipCidrRange": "10.0.0.0/18"}, {"ipCidrRange": False}),
        (SUBNETWORK, {"ipCidrRange": "10.0.0.0/20"}, {"ipCidrRange": "10.1.0.0/20"}, {"ipCidrRange": True}),
        (
            SUBNETWORK,
            {"secondaryIpRanges": [{"rangeName": "pods"}, {"rangeName": "services"}]},
            {"secondaryIpRanges": [{"rangeName": "services"}, {"rangeName": "pods"}]},
            {},
        ),
        (SUBNETWORK, {"network": "projects/p/global/networks/n"}, {"network": "n"}, {}),
    ],
)
def test_a_change_does_what_the_source_says(
    token: str, old: Properties, new: Properties, expected: dict[str, bool]
) -> None:
    assert forced(token, old, new) == expected


@pytest.mark.parametrize("ranges", ["10.0.0.0/33", "10.0.0/8", "ten"])
def test_a_range_that_is_none_is_refused(ranges: str) -> None:
    assert "ipCidrRange" in wrong(SUBNETWORK, {**GOOD.get(SUBNETWORK, {}), "ipCidrRange": ranges})


@pytest.mark.parametrize("ranges", ["10.0.0.0/8", "10.4.0.0/30", "fd20::/64"])
def test_a_range_that_is_one_is_taken(ranges: str) -> None:
    assert "ipCidrRange" not in wrong(SUBNETWORK, {**GOOD.get(SUBNETWORK, {}), "ipCidrRange": ranges})
