"""Brings an Airflow's connections, variables and pools to what a file says. Running it again changes nothing.

What it makes carries MARK at the end of its description. Only that it changes or removes; what people have made by hand
stays as it is. Where both want one name, nothing at all is changed and the names are said, unless the file has
``takeOver``. Whoever takes the mark off a description keeps the thing, and takes it out of the file.

Usage: reconcile.py FILE

FILE is a JSON object: ``connections`` by id, with ``type``, ``host``, ``port``, ``schema``, ``login``, ``password``,
``extra``, ``description``; ``variables`` by key, texts; ``pools`` by name, with ``slots``, ``includeDeferred``,
``description``; ``takeOver``. No value of it is ever printed.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow.configuration import conf
from airflow.models import Connection, Pool, Variable
from airflow.models.crypto import get_fernet
from airflow.utils.session import create_session
from cryptography.fernet import InvalidToken
from sqlalchemy import delete, select, text

MARK = "(from the stack file)"
LOCK = 7_312_405_118  # any number: two of these never work at once
SAID_TO_KUBERNETES = Path("/dev/termination-log")
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Kind:
    """One of the three. ``present``: each one's comparable content and its description, by name."""

    title: str
    wanted: Mapping[str, Any]
    """Comparable content and description, by name."""
    present: Mapping[str, tuple[Any, str]]
    made: Callable[[str], Any]
    deletion: Callable[[list[str]], Any]
    built_in: frozenset[str] = frozenset()
    """Airflow's own: never people's, and never removed."""

    @property
    def ours(self) -> set[str]:
        return {name for name, (_, description) in self.present.items() if description.endswith(MARK)}

    @property
    def clashes(self) -> list[str]:
        return sorted(self.wanted.keys() & self.present.keys() - self.ours - self.built_in)

    @property
    def gone(self) -> list[str]:
        return sorted(self.ours - self.wanted.keys())

    @property
    def changed(self) -> list[str]:
        return sorted(n for n in self.wanted.keys() & self.present.keys() if self.wanted[n] != self.present[n])

    @property
    def new(self) -> list[str]:
        return sorted(self.wanted.keys() - self.present.keys())


def marked(description: str) -> str:
    return f"{description} {MARK}".lstrip()


def opened(value: str | None, encrypted: bool) -> str | None:
    """What is stored; UNREADABLE where it was encrypted with a key that is lost."""
    if value is None or not encrypted:
        return value
    try:
        return get_fernet().decrypt(value.encode()).decode()
    except InvalidToken:
        return UNREADABLE


def connections(asked: Mapping[str, Any], session: Any) -> Kind:
    def content(one: Mapping[str, Any]) -> tuple[Any, ...]:
        fields = (one.get(key) for key in ("type", "host", "port", "schema", "login", "password"))
        return (*fields, one.get("extra") or {})

    def made(name: str) -> Connection:
        one = asked[name]
        return Connection(
            conn_id=name,
            conn_type=one["type"],
            description=marked(one.get("description", "")),
            host=one.get("host"),
            port=one.get("port"),
            schema=one.get("schema"),
            login=one.get("login"),
            password=one.get("password"),
            extra=json.dumps(one["extra"]) if one.get("extra") else None,
        )

    def extra_of(stored: str | None) -> Any:
        try:
            return json.loads(stored) if stored else {}
        except ValueError:
            return UNREADABLE

    # Columns, not models: a model opens what is encrypted as it is loaded, and one lost key would stop all of it.
    columns = (
        Connection.conn_id,
        Connection.conn_type,
        Connection.host,
        Connection.port,
        Connection.schema,
        Connection.login,
        Connection.description,
        Connection._password,
        Connection.is_encrypted,
        Connection._extra,
        Connection.is_extra_encrypted,
    )
    present: dict[str, tuple[Any, str]] = {}
    for name, kind, host, port, schema, login, description, password, is_encrypted, extra, is_extra in session.execute(
        select(*columns)
    ):
        parts = (kind, host or None, port, schema or None, login or None, opened(password, is_encrypted) or None)
        present[name] = ((*parts, extra_of(opened(extra, is_extra))), description or "")
    return Kind(
        "connection",
        {name: (content(one), marked(one.get("description", ""))) for name, one in asked.items()},
        present,
        made,
        lambda names: delete(Connection).where(Connection.conn_id.in_(names)),
    )


def variables(asked: Mapping[str, str], session: Any) -> Kind:
    rows = session.execute(select(Variable.key, Variable._val, Variable.is_encrypted, Variable.description))
    return Kind(
        "variable",
        {name: (value, MARK) for name, value in asked.items()},
        {name: (opened(value, encrypted), description or "") for name, value, encrypted, description in rows},
        lambda name: Variable(key=name, val=asked[name], description=MARK),
        lambda names: delete(Variable).where(Variable.key.in_(names)),
    )


def pools(asked: Mapping[str, Any], session: Any) -> Kind:
    default = Pool.DEFAULT_POOL_NAME
    rows = session.execute(select(Pool.pool, Pool.slots, Pool.include_deferred, Pool.description)).all()
    present = {name: ((slots, deferred), description or "") for name, slots, deferred, description in rows}
    wanted = {
        name: ((one["slots"], one.get("includeDeferred", False)), marked(one.get("description", "")))
        for name, one in asked.items()
    }
    if default not in wanted and present.get(default, (None, ""))[1].endswith(MARK):
        # It can't be removed: what it is in a new Airflow.
        wanted[default] = ((conf.getint("core", "default_pool_task_slot_count"), False), "Default pool")

    def made(name: str) -> Pool:
        (slots, deferred), description = wanted[name]
        return Pool(pool=name, slots=slots, include_deferred=deferred, description=description)

    return Kind(
        "pool",
        wanted,
        present,
        made,
        lambda names: delete(Pool).where(Pool.pool.in_(names)),
        frozenset({default}),
    )


def fail(said: str) -> None:
    if SAID_TO_KUBERNETES.exists():
        SAID_TO_KUBERNETES.write_text(said, encoding="utf-8")
    sys.exit(said)


def main(file: Path) -> None:
    asked = json.loads(file.read_text(encoding="utf-8"))
    done: list[str] = []
    with create_session() as session:
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        kinds = [
            connections(asked.get("connections", {}), session),
            variables(asked.get("variables", {}), session),
            pools(asked.get("pools", {}), session),
        ]
        clashes = [f"{kind.title} {name}" for kind in kinds for name in kind.clashes]
        if clashes and not asked.get("takeOver"):
            fail(
                f"made by hand and in the stack file, too: {', '.join(clashes)}. Nothing was changed. Mend: take them "
                "out of the stack file, remove them by hand, or set takeOver: true to have the stack file's"
            )
        for kind in kinds:
            if old := [*kind.gone, *kind.changed]:
                session.execute(kind.deletion(old))
            session.add_all([kind.made(name) for name in (*kind.changed, *kind.new)])
            done += [f"{kind.title} {name} removed" for name in kind.gone]
            done += [f"{kind.title} {name} changed" for name in kind.changed]
            done += [f"{kind.title} {name} made" for name in kind.new]
    print("\n".join(done) or "nothing to do", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
