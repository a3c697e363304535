"""Inputs of Google's resources as a platform team would give them."""

from typing import Any

from testbed.engine.values import Properties

CLUSTER = "gcp:container/cluster:Cluster"
POOL = "gcp:container/nodePool:NodePool"
INSTANCE = "gcp:sql/databaseInstance:DatabaseInstance"
NAT = "gcp:compute/routerNat:RouterNat"
REPOSITORY = "gcp:artifactregistry/repository:Repository"
PLAN = "gcp:gkebackup/backupPlan:BackupPlan"
ADMISSION = "gcp:binaryauthorization/policy:Policy"
USER = "gcp:sql/user:User"
SECRET = "gcp:secretmanager/secret:Secret"


def good_cluster(**more: Any) -> Properties:
    return {
        "name": "airflow",
        "project": "p",
        "location": "europe-west1",
        "initialNodeCount": 1,
        "removeDefaultNodePool": True,
        "networkingMode": "VPC_NATIVE",
        "datapathProvider": "ADVANCED_DATAPATH",
        "ipAllocationPolicy": {"clusterSecondaryRangeName": "pods", "servicesSecondaryRangeName": "services"},
        "privateClusterConfig": {"enablePrivateNodes": True},
        "controlPlaneEndpointsConfig": {
            "dnsEndpointConfig": {"allowExternalTraffic": True},
            "ipEndpointsConfig": {"enabled": False},
        },
        "releaseChannel": {"channel": "REGULAR"},
        "databaseEncryption": {"state": "ENCRYPTED", "keyName": "k"},
        "binaryAuthorization": {"evaluationMode": "PROJECT_SINGLETON_POLICY_ENFORCE"},
        **more,
    }


def good_pool(**more: Any) -> Properties:
    return {
        "name": "tasks",
        "project": "p",
        "location": "europe-west1",
        "cluster": "airflow",
        "autoscaling": {"totalMinNodeCount": 0, "totalMaxNodeCount": 5, "locationPolicy": "ANY"},
        "nodeConfig": {
            "machineType": "e2-standard-4",
            "spot": True,
            "taints": [{"key": "tasks", "value": "yes", "effect": "NO_SCHEDULE"}],
            "linuxNodeConfig": {"sysctls": {"vm.max_map_count": "1048576"}},
            "workloadMetadataConfig": {"mode": "GKE_METADATA"},
        },
        **more,
    }


def good_instance(settings: Properties | None = None, **more: Any) -> Properties:
    inner: Properties = {
        "tier": "db-custom-2-7680",
        "edition": "ENTERPRISE",
        "availabilityType": "REGIONAL",
        "backupConfiguration": {
            "enabled": True,
            "pointInTimeRecoveryEnabled": True,
            "transactionLogRetentionDays": 7,
        },
        "ipConfiguration": {"ipv4Enabled": False, "privateNetwork": "projects/p/global/networks/n"},
        "maintenanceWindow": {"day": 7, "hour": 3, "updateTrack": "stable"},
        **(settings or {}),
    }
    return {
        "name": "airflow-1",
        "project": "p",
        "region": "europe-west1",
        "databaseVersion": "POSTGRES_17",
        "settings": inner,
        **more,
    }


GOOD = {
    CLUSTER: good_cluster(),
    POOL: good_pool(),
    INSTANCE: good_instance(),
    NAT: {
        "name": "nat",
        "project": "p",
        "region": "r",
        "router": "router",
        "natIpAllocateOption": "MANUAL_ONLY",
        "natIps": ["a"],
        "sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES",
    },
    REPOSITORY: {
        "project": "p",
        "location": "eu",
        "repositoryId": "r",
        "format": "DOCKER",
        "mode": "REMOTE_REPOSITORY",
        "remoteRepositoryConfig": {"commonRepository": {"uri": "https://quay.io"}},
        "cleanupPolicies": [{"id": "keep", "action": "KEEP", "mostRecentVersions": {"keepCount": 5}}],
    },
    PLAN: {
        "name": "plan",
        "project": "p",
        "location": "r",
        "cluster": "c",
        "backupConfig": {"allNamespaces": True, "includeVolumeData": True},
        "backupSchedule": {"cronSchedule": "0 3 * * *"},
        "retentionPolicy": {"backupRetainDays": 30, "backupDeleteLockDays": 7},
    },
    ADMISSION: {
        "project": "p",
        "defaultAdmissionRule": {"evaluationMode": "ALWAYS_DENY", "enforcementMode": "ENFORCED_BLOCK_AND_AUDIT_LOG"},
    },
    USER: {"name": "a@p.iam", "project": "p", "instance": "i", "type": "CLOUD_IAM_SERVICE_ACCOUNT"},
    SECRET: {"secretId": "s", "project": "p", "replication": {"auto": {}}},
}
