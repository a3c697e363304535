"""The class of volumes that claims get when they name none: a folder on the node for each claim."""

from typing import Any

from testbed.cluster.layout import Layout
from testbed.cluster.processes import Component
from testbed.cluster.programs import Programs


def provisioner(layout: Layout, programs: Programs) -> Component:
    return Component(
        "volumes",
        [programs.volumes, f"--kubeconfig={layout.inner_kubeconfig}", f"--root={layout.volumes}"],
        [layout.inner_kubeconfig],
    )


def manifests() -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": "standard",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "testbed/volumes",  # as in volumes/main.go
            "volumeBindingMode": "WaitForFirstConsumer",
            "reclaimPolicy": "Delete",
        }
    ]
