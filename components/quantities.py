"""Kubernetes' quantities as numbers, to compare them: CPU in thousandths, memory in MiB.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

MIB_PER_UNIT = {"Ki": 1 / 1024, "Mi": 1.0, "Gi": 1024.0, "Ti": 1024.0 * 1024}


def millicpus(quantity: str) -> float:
    """``500m`` is 500, ``2`` is 2000."""
    return float(quantity[:-1]) if quantity.endswith("m") else float(quantity) * 1000


def mebibytes(quantity: str) -> float:
    """``2Gi`` is 2048. Binary units only."""
    return float(quantity[:-2]) * MIB_PER_UNIT[quantity[-2:]]
