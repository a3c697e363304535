"""Encrypts everything anew with the first Fernet key; each of the others can still be read with.

`airflow rotate-fernet-key` reads all rows, and writes them at its end: what a person or a task stores in between, it
overwrites with what was there before; and one value that no key opens, or a trigger left as plain JSON by a migration,
stops all of it (both seen with 3.3.2). This locks the few rows that it has in hand, so a write waits for it and wins.
Where a value opens with no key, it goes on, names it, and fails in the end.

Usage: rotate_fernet_key.py
"""

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from airflow.configuration import conf
from airflow.models import Connection, Trigger, Variable
from airflow.models.connection_test import ConnectionTestRequest
from airflow.utils.session import create_session
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import select, update

BATCH = 100
SAID_TO_KUBERNETES = Path("/dev/termination-log")

# Everything of Airflow's that is encrypted: what its own command covers (cli/commands/rotate_fernet_key_command.py).
# Each: the table's columns of key, name for people, text, and whether that is encrypted.
ENCRYPTED: tuple[tuple[str, Any, Any, Any, Any, Any], ...] = (
    ("password of connection", Connection, "id", "conn_id", "password", "is_encrypted"),
    ("extra of connection", Connection, "id", "conn_id", "extra", "is_extra_encrypted"),
    ("variable", Variable, "id", "key", "val", "is_encrypted"),
    ("trigger", Trigger, "id", "id", "kwargs", None),
    ("password of connection test", ConnectionTestRequest, "id", "connection_id", "password", "is_encrypted"),
    ("extra of connection test", ConnectionTestRequest, "id", "connection_id", "extra", "is_extra_encrypted"),
)


def batches(table: Any, key: Any, columns: tuple[Any, ...], condition: Any) -> Iterator[tuple[Any, list[Any]]]:
    """Rows in the order of ``key``, a few at a time, each batch locked in a transaction of its own."""
    last = None
    while True:
        query = select(*columns).where(condition).order_by(key).limit(BATCH).with_for_update(of=table)
        with create_session() as session:
            rows = session.execute(query if last is None else query.where(key > last)).all()
            if not rows:
                return
            last = rows[-1][0]
            yield session, list(rows)


def main() -> None:
    keys = [Fernet(key.strip().encode()) for key in conf.get_mandatory_value("core", "fernet_key").split(",")]
    newest, every = keys[0], MultiFernet(keys)
    rotated, closed = 0, []
    for title, model, key_name, name_column, text_column, encrypted_column in ENCRYPTED:
        table = model.__table__
        key, name, text = (table.c[column] for column in (key_name, name_column, text_column))
        # Airflow's migrations leave some triggers as plain JSON.
        encrypted = table.c[encrypted_column] if encrypted_column else ~text.startswith("{")
        condition = encrypted & text.is_not(None) & (text != "")
        for session, rows in batches(table, key, (key, name, text), condition):
            for row_key, row_name, value in rows:
                with suppress(InvalidToken):
                    newest.decrypt(value.encode())
                    continue
                try:
                    anew = every.rotate(value.encode()).decode()
                except InvalidToken:
                    closed.append(f"{title} {row_name}")
                    continue
                session.execute(update(table).where(key == row_key).values({text_column: anew}))
                rotated += 1
    print(f"{rotated} values are encrypted anew with the first of {len(keys)} keys", flush=True)
    if closed:
        said = (
            f"{len(closed)} values open with none of the keys: {', '.join(closed[:20])}. Mend: add the key that they "
            "were encrypted with, or remove them"
        )
        if SAID_TO_KUBERNETES.exists():
            SAID_TO_KUBERNETES.write_text(said, encoding="utf-8")
        sys.exit(said)


if __name__ == "__main__":
    main()
