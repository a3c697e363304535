"""Where people find what an environment has: a host, a port and, where several share a host, a path."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from infra.settings.airflow import AirflowSettings, AirflowState
from infra.settings.gate import GATED
from infra.settings.ingress import Ingress
from infra.settings.logs import OwnLogs
from infra.settings.metrics import PrometheusMetrics

if TYPE_CHECKING:
    from infra.settings.environment import Settings

HTTPS: Final = 443
RESERVED: Final = ("alertmanager", "grafana", "kibana", "prometheus")
"""Hosts below the domain that are kept for what is not an Airflow."""


@dataclass(frozen=True)
class Address:
    """An address of the way in. ``path`` is empty, or begins with a slash and ends without one."""

    host: str
    port: int
    path: str = ""

    @property
    def url(self) -> str:
        """What people type."""
        port = "" if self.port == HTTPS else f":{self.port}"
        return f"https://{self.host}{port}{self.path}"


def way_in(settings: "Settings") -> Ingress | None:
    """The ingress where something listens there; None where it is only an address, or not even that."""
    return settings.ingress if settings.ingress and settings.ingress.tls else None


def address_of(airflow: AirflowSettings, settings: "Settings") -> Address | None:
    """Where ``airflow`` is found: at its ``baseUrl``, else where the routing puts it. None without a way in."""
    ingress = way_in(settings)
    if ingress is None:
        return None
    if airflow.base_url is not None:
        parts = urlsplit(airflow.base_url)
        return Address(parts.hostname or "", _port(airflow.base_url), parts.path)
    if ingress.routing == "paths":
        return Address(ingress.domain, ingress.port, f"/{airflow.name}")
    return Address(f"{airflow.name}.{ingress.domain}", ingress.port)


def base_url(airflow: AirflowSettings, settings: "Settings") -> str | None:
    """The address that ``airflow`` itself must know of."""
    found = address_of(airflow, settings)
    return found.url if found else airflow.base_url


def beside(name: str, settings: "Settings") -> Address | None:
    """Where something that is no Airflow is found: on a host of its own below the domain."""
    ingress = way_in(settings)
    return Address(f"{name}.{ingress.domain}", ingress.port) if ingress else None


def flower_of(airflow: AirflowSettings, settings: "Settings") -> Address | None:
    """Where the Flower of ``airflow`` is found, if it has one."""
    return beside(f"flower-{airflow.name}", settings) if airflow.celery and airflow.celery.flower else None


def addresses(settings: "Settings") -> dict[str, Address]:
    """Every address of the environment's Airflows, of Grafana and Kibana, and of what people reach by the gate, by what
    it is for. What is retired has none."""
    active = [airflow for airflow in settings.airflows if airflow.state is AirflowState.ACTIVE]
    found = {f"airflows.{airflow.name}": address_of(airflow, settings) for airflow in active}
    found |= {f"the Flower of airflows.{airflow.name}": flower_of(airflow, settings) for airflow in active}
    if isinstance(settings.metrics, PrometheusMetrics) and settings.metrics.grafana:
        found["Grafana"] = beside("grafana", settings)
    if isinstance(settings.logs, OwnLogs) and settings.logs.kibana:
        found["Kibana"] = beside("kibana", settings)
    found |= {f"the gate of {name}": beside(name, settings) for name in GATED if settings.gate}
    return {what: address for what, address in found.items() if address}


def _port(url: str) -> int:
    try:
        return urlsplit(url).port or HTTPS
    except ValueError:  # out of range; the rules say so
        return 0
