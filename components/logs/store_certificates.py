"""The certificate of a log store's nodes, and the authority that its clients know it by."""

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes

from components.authority import SigningArgs, signed
from components.logs.store_args import ELASTICSEARCH, HOST, NAMESPACE, NODES_SERVICE
from components.workload import metadata

SECRET: Final = "elasticsearch-tls"  # noqa: S105 (a name)
AUTHORITY_FILE: Final = "ca.crt"
_YEAR: Final = 365 * 24
AUTHORITY_YEARS: Final = 20
CERTIFICATE_YEARS: Final = 5
RENEWED_YEARS: Final = 1
"""How long before its end the next update makes the certificate anew. Nodes see the new file without a restart."""
_NODES: Final = f"{NODES_SERVICE}.{NAMESPACE}.svc.cluster.local"
NAMES: Final = (
    "localhost",
    ELASTICSEARCH,
    f"{ELASTICSEARCH}.{NAMESPACE}",
    f"{ELASTICSEARCH}.{NAMESPACE}.svc",
    HOST,
    _NODES,
    f"*.{_NODES}",
)


@dataclass(frozen=True)
class StoreCertificate:
    """The Secret that nodes mount, and the authority's certificate (PEM), which is no secret."""

    secret: kubernetes.core.v1.Secret
    authority: pulumi.Output[str]


def make_store_certificate(name: str, namespace: pulumi.Output[str], parent: pulumi.Resource) -> StoreCertificate:
    """Makes one certificate for all nodes, for HTTP and for the way between them, signed by an authority of its own.

    One for all: a node proves that it belongs to the cluster, not which one it is; names of pods come and go with it.
    """
    made = signed(
        name,
        SigningArgs(
            authority="airflow-platform's log store",
            authority_hours=AUTHORITY_YEARS * _YEAR,
            subject={"common_name": ELASTICSEARCH, "organization": "airflow-platform"},
            hosts=NAMES,
            addresses=("127.0.0.1",),
            hours=CERTIFICATE_YEARS * _YEAR,
            renewed_hours=RENEWED_YEARS * _YEAR,
            uses=("digital_signature", "key_encipherment", "server_auth", "client_auth"),
        ),
        parent,
    )
    secret = kubernetes.core.v1.Secret(
        f"{name}-tls",
        metadata=metadata(SECRET, namespace),
        string_data={
            AUTHORITY_FILE: made.authority.cert_pem,
            "tls.crt": made.certificate.cert_pem,
            "tls.key": made.key.private_key_pem_pkcs8,
        },
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return StoreCertificate(secret, made.authority.cert_pem)
