"""NGINX's configuration from Ingress objects: the part of the vendor's rules that the platform's own objects use.

Which are: masters and minions, hosts with the wildcard certificate, prefixes and exact paths, limits of requests. Keys
and annotations that it does not know are problems, not silence.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
TYPE = "nginx.org/mergeable-ingress-type"
LIMIT = "nginx.org/limit-req-"
WEBSOCKETS = "nginx.org/websocket-services"
KNOWN = {
    TYPE,
    WEBSOCKETS,
    *(f"{LIMIT}{key}" for key in ("rate", "burst", "no-delay", "reject-code", "zone-size", "log-level")),
}
KEYS = {
    "client-max-body-size", "external-status-address", "hsts", "hsts-max-age", "hsts-include-subdomains",
    "http2", "log-format", "log-format-escaping", "proxy-connect-timeout", "proxy-read-timeout", "proxy-send-timeout",
    "server-tokens", "ssl-protocols", "worker-shutdown-timeout",
}  # fmt: skip
LIB = "/var/lib/nginx"
NOBODY = f"unix:{LIB}/nginx-502-server.sock"


@dataclass(frozen=True)
class Options:
    """What the arguments say."""

    ingress_class: str
    namespace_label: tuple[str, str]
    certificate: str
    """The file that the wildcard Secret was written to, certificate and key."""
    http_port: int = 80
    https_port: int = 443


@dataclass
class World:
    """Objects as the API has them."""

    config: Mapping[str, str]
    namespaces: list[Object]
    ingresses: list[Object]
    services: list[Object]
    slices: list[Object]


@dataclass
class Rendered:
    """The configuration, the Ingress objects that it serves, and what it can't serve, each with the reason."""

    text: str = ""
    served: list[Object] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def render(world: World, options: Options) -> Rendered:
    """Everything that NGINX is to be told."""
    made = Rendered()
    made.problems += [f"ConfigMap: unknown key {key}" for key in sorted(world.config.keys() - KEYS)]
    key, value = options.namespace_label
    watched = {n["metadata"]["name"] for n in world.namespaces if n["metadata"].get("labels", {}).get(key) == value}
    ours = [
        one
        for one in world.ingresses
        if one["metadata"]["namespace"] in watched and one["spec"].get("ingressClassName") == options.ingress_class
    ]
    # Who came first has the host or path: later ones can't take it away.
    ours.sort(key=lambda one: (one["metadata"]["creationTimestamp"], _name(one)))
    masters: dict[str, Object] = {}
    for one in ours:
        made.problems += [
            f"{_name(one)}: unknown annotation {name}"
            for name in one["metadata"].get("annotations", {})
            if name.startswith("nginx.") and name not in KNOWN
        ]
        if _kind(one) == "master":
            (rule,) = one["spec"]["rules"]
            if rule["host"] in masters:
                made.problems.append(f"{_name(one)}: the host {rule['host']} is {_name(masters[rule['host']])}'s")
            else:
                masters[rule["host"]] = one
                made.served.append(one)
        elif _kind(one) != "minion":
            made.problems.append(f"{_name(one)}: this stand-in knows masters and minions only")
    servers, before = [], []
    for host, master in masters.items():
        locations = list(_locations(host, ours, world, made))
        before += [text for _, texts, _ in locations for text in texts]
        servers.append(_server(host, master, [text for _, _, text in locations], world.config, options))
    made.text = "\n".join([_head(world.config), *dict.fromkeys(before), _nobody(options), *servers, "}"]) + "\n"
    return made


def _locations(host: str, ours: list[Object], world: World, made: Rendered) -> Iterator[tuple[str, list[str], str]]:
    """Each location of a host: its path, what must stand before all servers, and its own text."""
    taken: dict[str, str] = {}
    for minion in ours:
        if _kind(minion) != "minion":
            continue
        for rule in minion["spec"]["rules"]:
            if rule["host"] != host:
                continue
            for path in rule["http"]["paths"]:
                where = ("= " if path["pathType"] == "Exact" else "") + path["path"]
                if where in taken:
                    made.problems.append(f"{_name(minion)}: {host}{where} is {taken[where]}'s")
                    continue
                taken[where] = _name(minion)
                yield where, *_location(where, minion, path["backend"]["service"], world)
        if minion not in made.served and _name(minion) in taken.values():
            made.served.append(minion)


def _location(where: str, minion: Object, backend: Object, world: World) -> tuple[list[str], str]:
    namespace, name = minion["metadata"]["namespace"], minion["metadata"]["name"]
    service, port = backend["name"], backend["port"]["number"]
    upstream = f"{namespace}-{service}-{port}"
    servers = "".join(
        f"  server {one} max_fails=1 fail_timeout=10s;\n" for one in _endpoints(world, namespace, service, port)
    )
    before = [f"upstream {upstream} {{\n  zone {upstream} 256k;\n{servers or f'  server {NOBODY};' + chr(10)}}}"]
    annotations = minion["metadata"].get("annotations", {})
    lines = []
    if rate := annotations.get(f"{LIMIT}rate"):
        zone, size = f"{namespace}/{name}", annotations.get(f"{LIMIT}zone-size", "10m")
        before.append(f"limit_req_zone $binary_remote_addr zone={zone}:{size} rate={rate};")
        burst = f" burst={annotations[f'{LIMIT}burst']}" if f"{LIMIT}burst" in annotations else ""
        lines.append(
            f"limit_req zone={zone}{burst}{' nodelay' if annotations.get(f'{LIMIT}no-delay') == 'true' else ''};"
        )
        lines.append(f"limit_req_status {annotations.get(f'{LIMIT}reject-code', '429')};")
        lines.append(f"limit_req_log_level {annotations.get(f'{LIMIT}log-level', 'error')};")
    if service in annotations.get(WEBSOCKETS, "").split(","):
        lines += ["proxy_set_header Upgrade $http_upgrade;", "proxy_set_header Connection $connection_upgrade;"]
    config = world.config
    lines += [
        f'set $service "{service}"; set $resource_name "{name}"; set $resource_namespace "{namespace}";',
        "proxy_http_version 1.1;",
        f"proxy_connect_timeout {config.get('proxy-connect-timeout', '60s')};",
        f"proxy_read_timeout {config.get('proxy-read-timeout', '60s')};",
        f"proxy_send_timeout {config.get('proxy-send-timeout', '60s')};",
        f"client_max_body_size {config.get('client-max-body-size', '1m')};",
        "proxy_set_header Host $host;",
        "proxy_set_header X-Real-IP $remote_addr;",
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        "proxy_set_header X-Forwarded-Host $host;",
        "proxy_set_header X-Forwarded-Port $server_port;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
        f"proxy_pass http://{upstream};",
    ]
    return before, f"  location {where} {{\n" + "".join(f"    {line}\n" for line in lines) + "  }"


def _endpoints(world: World, namespace: str, service: str, port: int) -> list[str]:
    """Addresses of the pods behind a Service that are ready."""
    found = [s for s in world.services if (s["metadata"]["namespace"], s["metadata"]["name"]) == (namespace, service)]
    names = {p.get("name") for s in found for p in s["spec"]["ports"] if p["port"] == port}
    addresses = []
    for one in world.slices:
        labels = one["metadata"].get("labels", {})
        if one["metadata"]["namespace"] != namespace or labels.get("kubernetes.io/service-name") != service:
            continue
        for number in [p["port"] for p in one.get("ports") or [] if (p.get("name") or None) in names]:
            for endpoint in one.get("endpoints") or []:
                if endpoint.get("conditions", {}).get("ready", True):
                    addresses += [f"{address}:{number}" for address in endpoint["addresses"]]
    return sorted(set(addresses))


def _server(host: str, master: Object, locations: list[str], config: Mapping[str, str], options: Options) -> str:
    name, namespace = master["metadata"]["name"], master["metadata"]["namespace"]
    http2 = " http2" if config.get("http2") == "true" else ""
    lines = [
        f"listen {options.http_port};",
        f"listen {options.https_port} ssl{http2};",
        f"server_name {host};",
        f"ssl_certificate {options.certificate};",
        f"ssl_certificate_key {options.certificate};",
        f'set $resource_name "{name}"; set $resource_namespace "{namespace}"; set $service "-";',
        f"if ($scheme = http) {{ return 301 https://$host:{options.https_port}$request_uri; }}",
    ]
    if config.get("hsts") == "true":
        value = f"max-age={config['hsts-max-age']}; preload"
        lines += [
            "proxy_hide_header Strict-Transport-Security;",
            f'set $hsts ""; if ($https = on) {{ set $hsts "{value}"; }}',
            "add_header Strict-Transport-Security $hsts always;",
        ]
    return "server {\n" + "".join(f"  {line}\n" for line in lines) + "\n".join(locations) + "\n}"


def _nobody(options: Options) -> str:
    """What answers for hosts that are nobody's: no handshake, or 404; and for Services without a pod that is ready."""
    return f"""server {{
  listen {options.http_port} default_server;
  listen {options.https_port} ssl default_server;
  ssl_reject_handshake on;
  location / {{ return 404; }}
}}
server {{ listen {NOBODY}; access_log off; return 502; }}
server {{ listen unix:{LIB}/nginx-status.sock; access_log off; location /stub_status {{ stub_status; }} }}"""


def _head(config: Mapping[str, str]) -> str:
    # What no location answers is looked for where the vendor's NGINX would: there is nothing, and Debian has a page.
    escape = config.get("log-format-escaping", "default")
    form = config.get("log-format", "$remote_addr $request $status").replace("'", "\\'")
    return f"""worker_processes auto;
worker_shutdown_timeout {config.get("worker-shutdown-timeout", "60s")};
daemon off;
pid {LIB}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 1024; }}
http {{
include /etc/nginx/mime.types;
root /etc/nginx/html;
default_type application/octet-stream;
log_format main escape={escape} '{form}';
access_log /dev/stdout main;
server_tokens {"off" if config.get("server-tokens") == "false" else "on"};
ssl_protocols {config.get("ssl-protocols", "TLSv1.2 TLSv1.3")};
client_body_temp_path /var/cache/nginx/body;
proxy_temp_path /var/cache/nginx/proxy;
fastcgi_temp_path /var/cache/nginx/fastcgi;
uwsgi_temp_path /var/cache/nginx/uwsgi;
scgi_temp_path /var/cache/nginx/scgi;
server_names_hash_bucket_size 256;
variables_hash_bucket_size 256;
map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
map $http_host $resource_name {{ default ''; }}
map $http_host $resource_namespace {{ default ''; }}
map $http_host $service {{ default ''; }}"""


def _kind(ingress: Object) -> str:
    return str(ingress["metadata"].get("annotations", {}).get(TYPE, ""))


def _name(one: Object) -> str:
    return f"{one['metadata']['namespace']}/{one['metadata']['name']}"
