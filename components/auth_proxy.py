"""The Cloud SQL Auth Proxy beside a container that needs the database: who connects is checked by IAM at every one."""

from dataclasses import dataclass
from typing import Final

import pulumi

from components.workload import Container, Resources

HOST: Final = "127.0.0.1"
PORT: Final = 5432
HTTP_PORT: Final = 9801
START_SECONDS: Final = 60
RESOURCES: Final = Resources(cpu="50m", memory="64Mi", cpu_limit="1", memory_limit="256Mi")


@dataclass(frozen=True)
class AuthProxy:
    """How to reach an instance. ``connection_name`` is ``project:region:instance``."""

    image: str
    connection_name: pulumi.Input[str]

    def sidecar(self) -> Container:
        """A native sidecar: first of the init containers, so whatever comes after finds the database; ends after the
        pod's own containers, so a Job ends.

        The image is the vendor's (https://github.com/GoogleCloudPlatform/cloud-sql-proxy), flags of 2.18. Its metrics
        are on the port ``proxy-http``. It wants no readiness probe: the vendor advises against one.
        """
        return Container(
            name="cloud-sql-proxy",
            image=self.image,
            args=[
                "--private-ip",
                f"--port={PORT}",
                "--structured-logs",
                "--health-check",
                "--prometheus",
                "--http-address=0.0.0.0",
                f"--http-port={HTTP_PORT}",
                "--exit-zero-on-sigterm",
                self.connection_name,
            ],
            ports={"proxy-http": HTTP_PORT},
            resources=RESOURCES,
            startup_probe={
                "http_get": {"path": "/startup", "port": HTTP_PORT},
                "period_seconds": 1,
                "failure_threshold": START_SECONDS,
                "timeout_seconds": 10,
            },
            liveness_probe={
                "http_get": {"path": "/liveness", "port": HTTP_PORT},
                "period_seconds": 60,
                "failure_threshold": 5,
                "timeout_seconds": 10,
            },
            restart_policy="Always",
        )
