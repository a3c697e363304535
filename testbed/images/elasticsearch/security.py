"""Elasticsearch's roles and users, as the security plugin of OpenSearch has them.

elastic.co/docs/reference/elasticsearch/security-privileges
opensearch.org/docs/2.19/security/access-control/permissions
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from messages import SUPERUSER, Answer, ElasticError, Node, Request, said
from remembered import Remembered

_API = "/_plugins/_security/api"
_WRITE = ("indices:data/write/index", "indices:data/write/bulk*")
CLUSTER = {
    "all": ("cluster_all",),
    "monitor": ("cluster_monitor",),
    "cluster:monitor/main": ("cluster:monitor/main",),
    "manage_index_templates": ("cluster_manage_index_templates",),
    "manage_ingest_pipelines": ("cluster_manage_pipelines",),
}
INDICES = {
    "all": ("indices_all",),
    "read": ("read",),
    "monitor": ("indices_monitor",),
    "manage": ("manage",),
    # A data stream, which is all that the platform writes to, takes no other operation than `create` from these.
    "create_doc": _WRITE,
    "create": _WRITE,
    "index": (*_WRITE, "indices:data/write/update"),
    "delete": ("indices:data/write/delete*",),
    "write": ("write",),
    "create_index": ("indices:admin/create", "indices:admin/auto_create", "indices:admin/data_stream/create"),
    "auto_configure": ("indices:admin/auto_create", "indices:admin/create", "indices:admin/mapping*/put"),
    "view_index_metadata": (
        *("indices:admin/get", "indices:admin/mappings/*", "indices:admin/aliases/get", "indices:admin/resolve/index"),
        *("indices:admin/data_stream/get", "indices:monitor/settings/get"),
    ),
}
_WRITERS = {"all", "write", "create_doc", "create", "index", "delete"}
_READERS = {"all", "read"}
_BUILT_IN_ROLES = {"superuser": "all_access"}
_BUILT_IN_USERS = {"kibana_system": {"username": "kibana_system", "roles": ["kibana_system"], "enabled": True}}
_USER_FIELDS = {"password", "roles", "full_name", "email", "metadata", "enabled"}
_ROLE_FIELDS = {"cluster", "indices", "metadata", "description"}
_GRANT_FIELDS = {"names", "privileges", "allow_restricted_indices"}


def role_of(body: dict[str, Any]) -> dict[str, Any]:
    """The plugin's role for a role of Elasticsearch. Refuses privileges and fields that are not in the lists here."""
    _known("role", body, _ROLE_FIELDS)
    cluster = set(_translated("cluster", body.get("cluster", []), CLUSTER))
    permissions: list[dict[str, Any]] = []
    for grant in body.get("indices", []):
        _known("role.indices", grant, _GRANT_FIELDS)
        names = grant["names"] if isinstance(grant["names"], list) else [grant["names"]]
        privileges = set(grant["privileges"])
        actions = sorted(set(_translated("indices", grant["privileges"], INDICES)))
        permissions.append({"index_patterns": names, "allowed_actions": actions})
        # The plugin asks for these of the whole cluster before it looks at an index; Elasticsearch does not.
        if privileges & _WRITERS:
            cluster.add("indices:data/write/bulk")
        if privileges & _READERS:
            cluster.add("cluster_composite_ops_ro")
    return {"cluster_permissions": sorted(cluster), "index_permissions": permissions, "tenant_permissions": []}


def user_of(body: dict[str, Any]) -> dict[str, Any]:
    """The plugin's user for a user of Elasticsearch."""
    _known("user", body, _USER_FIELDS)
    if body.get("enabled") is False:
        raise ElasticError(501, "stand_in_exception", "the stand-in knows no disabled users")
    roles = [_BUILT_IN_ROLES.get(role, role) for role in body.get("roles", [])]
    password = {"password": body["password"]} if "password" in body else {}
    return {**password, "opendistro_security_roles": roles, "backend_roles": [], "attributes": {}}


class Security:
    """``/_security`` as far as it is known: roles, users, passwords, who am I."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._remembered = Remembered(node)

    def role(self, request: Request, name: str) -> Answer:
        """One role."""
        match request.method:
            case "GET":
                return self._found("role", name)
            case "DELETE":
                return self._gone("roles", "role", name)
            case _:
                body = request.json()
                self._done(self._node.ask("PUT", f"{_API}/roles/{quote(name)}", role_of(body)))
                return said({"role": {"created": self._remembered.put("role", name, body)}})

    def user(self, request: Request, name: str) -> Answer:
        """One user."""
        match request.method:
            case "GET":
                return self._found("user", name)
            case "DELETE":
                return self._gone("internalusers", "user", name)
            case _:
                if name in (SUPERUSER, *_BUILT_IN_USERS):
                    raise ElasticError(400, "illegal_argument_exception", f"user [{name}] is built in")
                body = request.json()
                self._done(self._node.ask("PUT", f"{_API}/internalusers/{quote(name)}", user_of(body)))
                kept = {"username": name, "enabled": True, **{key: body[key] for key in body if key != "password"}}
                return said({"created": self._remembered.put("user", name, kept)})

    def password(self, request: Request, name: str) -> Answer:
        """A user's new password."""
        password = request.json()["password"]
        if name == SUPERUSER:
            raise ElasticError(
                501, "stand_in_exception", "in the stand-in ELASTIC_PASSWORD alone says elastic's password"
            )
        path = f"{_API}/internalusers/{quote(name)}"
        if name in _BUILT_IN_USERS:
            self._done(self._node.ask("PUT", path, {"password": password}))
            self._remembered.put("user", name, _BUILT_IN_USERS[name])
        else:
            self._done(self._node.ask("PATCH", path, [{"op": "add", "path": "/password", "value": password}]))
        return said({})

    def who(self, _request: Request) -> Answer:
        """The one that asks."""
        found = self._node.ask("GET", "/_plugins/_security/authinfo")
        self._done(found)
        roles = {theirs: ours for ours, theirs in _BUILT_IN_ROLES.items()}
        about = found.json()
        mine = [roles.get(role, role) for role in about["roles"] if role != "own_index"]
        return said({"username": about["user_name"], "roles": mine, "enabled": True, "authentication_type": "realm"})

    def _found(self, kind: str, name: str) -> Answer:
        kept = self._remembered.get(kind, name)
        return said({}, 404) if kept is None else said({name: kept})

    def _gone(self, api: str, kind: str, name: str) -> Answer:
        answer = self._node.ask("DELETE", f"{_API}/{api}/{quote(name)}")
        if answer.status != 404:
            self._done(answer)
        self._remembered.delete(kind, name)
        return said({"found": answer.ok}, 200 if answer.ok else 404)

    @staticmethod
    def _done(answer: Answer) -> None:
        if not answer.ok:
            kind = "security_exception" if answer.status in (401, 403) else "illegal_argument_exception"
            raise ElasticError(answer.status, kind, answer.body.decode(errors="replace")[:500])


def _known(what: str, body: dict[str, Any], fields: Iterable[str]) -> None:
    if unknown := sorted(body.keys() - set(fields)):
        raise ElasticError(501, "stand_in_exception", f"{what}: the stand-in does not know {', '.join(unknown)}")


def _translated(what: str, privileges: Iterable[str], table: Mapping[str, tuple[str, ...]]) -> list[str]:
    if unknown := sorted(set(privileges) - table.keys()):
        raise ElasticError(
            501, "stand_in_exception", f"{what}: the stand-in does not know the privileges {', '.join(unknown)}"
        )
    return [action for privilege in privileges for action in table[privilege]]
