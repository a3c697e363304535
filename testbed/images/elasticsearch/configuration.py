"""Elasticsearch's configuration, read as its image reads it, and OpenSearch's made of it.

A setting that is not in the lists below is refused: what would be left out without a word would run elsewhere only.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

NODE_PORT = 9201
"""Where the node behind the stand-in listens, on loopback."""
_VARIABLE = re.compile(r"\$\{([^}]+)\}")
_LIKE_A_SETTING = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
_ROLES = {"master": "cluster_manager", "data": "data", "ingest": "ingest", "remote_cluster_client": ""} | dict.fromkeys(
    ("data_hot", "data_content", "data_warm", "data_cold"), "data"
)
_TAKEN = re.compile(
    r"cluster\.(name|initial_master_nodes|max_shards_per_node|routing\.allocation\..+)"
    r"|node\.(name|roles|attr\..+|store\.allow_mmap)|discovery\.(type|seed_hosts)|bootstrap\.memory_lock"
    r"|network\.(host|bind_host|publish_host)|transport\.(port|host|bind_host|publish_host)|http\.port"
    r"|path\.(data|logs|repo)|action\.(auto_create_index|destructive_requires_name)|indices\.recovery\..+"
)
"""What OpenSearch has as well, under the same name or another."""
_WITHOUT_EFFECT = {
    "ingest.geoip.downloader.enabled": "false",
    "xpack.ml.enabled": "false",
    "xpack.security.enabled": "true",
    "xpack.security.enrollment.enabled": "false",
    "xpack.security.autoconfiguration.enabled": "false",
    "xpack.license.self_generated.type": "basic",
}
"""What the stand-in is anyway; another value is refused."""
_TLS = re.compile(r"xpack\.security\.(transport|http)\.ssl\.(\w+)")
_TLS_FILES = ("key", "certificate", "certificate_authorities")
_VERIFIED = ("full", "certificate")


class RefusedError(Exception):
    """What the stand-in can't do; the text names all of it, one a line."""


@dataclass(frozen=True)
class Tls:
    """PEM files of one side."""

    key: Path
    certificate: Path
    authorities: Path


@dataclass(frozen=True)
class Configuration:
    """``node``: OpenSearch's settings, for its opensearch.yml."""

    node: Mapping[str, Any]
    port: int
    http: Tls | None
    """None: plain HTTP."""
    transport: Tls


def settings_of(folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """All settings by their full names: of elasticsearch.yml, and of variables that are named like one."""
    file = folder / "elasticsearch.yml"
    tree = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}
    found = flat(tree or {})
    found |= {name: value for name, value in environment.items() if _LIKE_A_SETTING.fullmatch(name)}
    return {name: _filled(value, environment) for name, value in found.items()}


def configuration(folder: Path, environment: Mapping[str, str]) -> Configuration:
    """What the settings in ``folder`` ask for. Raises RefusedError with everything that the stand-in can't do."""
    settings = settings_of(folder, environment)
    problems = list(_problems(settings, folder))
    if problems:
        raise RefusedError("\n".join(problems))
    http = _tls(settings, "http", folder) if _has_tls(settings, "http") else None
    mode = settings.get("xpack.security.transport.ssl.verification_mode", "full")
    node: dict[str, Any] = {
        "path.data": "/usr/share/elasticsearch/data",
        "path.logs": "/tmp/opensearch-logs",
        **_NEARLY_ANY_DISK,
        **{name: value for name, value in settings.items() if _TAKEN.fullmatch(name) and name not in _RENAMED},
        **{_RENAMED[name]: value for name, value in settings.items() if _RENAMED.get(name)},
        "http.host": "127.0.0.1",
        "http.port": NODE_PORT,
        **_SECURITY,
        f"{_SSL}.transport.enforce_hostname_verification": mode == "full",
    }
    if roles := settings.get("node.roles"):
        node["node.roles"] = sorted({_ROLES[role] for role in _listed(roles)} - {""})
    return Configuration(node, int(settings.get("http.port", 9200)), http, _tls(settings, "transport", folder))


_RENAMED = {
    "cluster.initial_master_nodes": "cluster.initial_cluster_manager_nodes",
    "node.roles": "",
    "http.port": "",
    "path.logs": "",
}
_NEARLY_ANY_DISK = {
    # The disk is the machine's, and may be as full as it likes.
    "cluster.routing.allocation.disk.watermark.low": "700mb",
    "cluster.routing.allocation.disk.watermark.high": "600mb",
    "cluster.routing.allocation.disk.watermark.flood_stage": "500mb",
}
_SSL = "plugins.security.ssl"
TRANSPORT_FILES = {"certificate": "transport.crt", "key": "transport.key", "authorities": "transport-ca.crt"}
"""Of the node, beside its opensearch.yml: the plugin reads no others."""
_SECURITY = {
    f"{_SSL}.transport.pemcert_filepath": TRANSPORT_FILES["certificate"],
    f"{_SSL}.transport.pemkey_filepath": TRANSPORT_FILES["key"],
    f"{_SSL}.transport.pemtrustedcas_filepath": TRANSPORT_FILES["authorities"],
    f"{_SSL}.http.enabled": False,  # the stand-in has the door, the node listens to nobody else
    # As in Elasticsearch, whoever the transport's authority has signed for is a node.
    "plugins.security.nodes_dn": ["*"],
    "plugins.security.allow_default_init_securityindex": True,
    "plugins.security.restapi.roles_enabled": ["all_access"],
    "plugins.security.audit.type": "noop",
}


def _problems(settings: Mapping[str, Any], folder: Path) -> Iterator[str]:
    for name, value in settings.items():
        if problem := _problem(name, _text(value)):
            yield f"{name}: {problem}"
    for role in _listed(settings.get("node.roles", [])):
        if role not in _ROLES:
            yield f"node.roles: the stand-in does not know the role {role}"
    if not _has_tls(settings, "transport"):
        yield "xpack.security.transport.ssl.enabled: the stand-in's nodes always speak TLS; set it to true"
    for side in ("http", "transport"):
        for key in _TLS_FILES if _has_tls(settings, side) else ():
            name = f"xpack.security.{side}.ssl.{key}"
            for file in _listed(settings.get(name, [])) or [""]:
                if not (file and (folder / file).is_file()):
                    yield f"{name}: there is no file {folder / file}"


def _problem(name: str, value: str) -> str | None:
    if name in _WITHOUT_EFFECT:
        wanted = _WITHOUT_EFFECT[name]
        return None if value == wanted else f"is {value}; the stand-in can only {wanted}"
    tls = _TLS.fullmatch(name)
    if tls and tls[2] == "verification_mode":
        return None if value in _VERIFIED else f"is {value}; the stand-in knows {' and '.join(_VERIFIED)}"
    known = _TAKEN.fullmatch(name) or (tls and tls[2] in ("enabled", *_TLS_FILES))
    return None if known else "the stand-in does not know this setting"


def _has_tls(settings: Mapping[str, Any], side: str) -> bool:
    return _text(settings.get(f"xpack.security.{side}.ssl.enabled", False)) == "true"


def _tls(settings: Mapping[str, Any], side: str, folder: Path) -> Tls:
    key, certificate, authorities = (
        folder / _listed(settings[f"xpack.security.{side}.ssl.{name}"])[0] for name in _TLS_FILES
    )
    return Tls(key, certificate, authorities)


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by their full names, however deep they were written."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def _filled(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_filled(one, environment) for one in value]
    if not isinstance(value, str):
        return value

    def variable(found: re.Match[str]) -> str:
        if found[1] not in environment:
            raise RefusedError(f"${{{found[1]}}}: there is no such variable")
        return environment[found[1]]

    return _VARIABLE.sub(variable, value)


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _listed(value: Any) -> list[str]:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else [str(one) for one in value]


def java_options(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """The JVM's, as Elasticsearch takes them; without any for the heap, half of the container's memory."""
    lines = [
        line.strip()
        for file in sorted((folder / "jvm.options.d").glob("*.options"))
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    asked = [line for line in lines if line.startswith("-")] + environment.get("ES_JAVA_OPTS", "").split()
    if not any(option.startswith("-Xmx") for option in asked):
        asked += ["-XX:InitialRAMPercentage=50", "-XX:MaxRAMPercentage=50"]
    temporary = environment.get("ES_TMPDIR", "/tmp")
    return [*asked, f"-Djava.io.tmpdir={temporary}", *_QUICK_TO_START]


_QUICK_TO_START = (
    *("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
    *("-Dlog4j2.disable.jmx=true", "-Djava.awt.headless=true"),
)


def default_folder() -> Path:
    """Where the official image has its configuration, unless a variable says otherwise."""
    return Path(os.environ.get("ES_PATH_CONF", "/usr/share/elasticsearch/config"))
