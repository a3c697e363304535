"""Counts what is in an Airflow's database, and what of it the Fernet keys of this pod do not open. Shows no value.

Runs in a pod of the Airflow image, on Airflow's own models. Left out: tests of connections, rows that live for seconds.
Prints one line: MARK, then JSON.
"""

# pyright: reportMissingImports=false, reportPrivateUsage=false

import json

from airflow.models import Connection, DagRun, Trigger, Variable
from airflow.models.crypto import get_fernet
from airflow.utils.session import create_session
from cryptography.fernet import InvalidToken
from sqlalchemy import func, select

MARK = "encrypted-rows:"
NAMED = 20  # the most that are named one by one


def main() -> None:
    fernet = get_fernet()

    def opens(text: str) -> bool:
        try:
            fernet.decrypt(text.encode())
        except InvalidToken:
            return False
        return True

    with create_session() as session:
        counts = {
            name: session.scalar(select(func.count()).select_from(model))
            for name, model in (("dag_runs", DagRun), ("connections", Connection), ("variables", Variable))
        }
        connections = session.execute(
            select(
                Connection.conn_id,
                Connection._password,
                Connection.is_encrypted,
                Connection._extra,
                Connection.is_extra_encrypted,
            )
        ).all()
        variables = session.execute(select(Variable.key, Variable._val).where(Variable.is_encrypted)).all()
        triggers = session.execute(select(Trigger.id, Trigger.encrypted_kwargs)).all()
    encrypted = [(f"password of connection {name}", text) for name, text, yes, _, _ in connections if text and yes]
    encrypted += [(f"extra of connection {name}", text) for name, _, _, text, yes in connections if text and yes]
    encrypted += [(f"variable {name}", text) for name, text in variables if text]
    # Airflow's migrations leave some as plain JSON.
    encrypted += [(f"trigger {name}", text) for name, text in triggers if not text.startswith("{")]
    closed = [name for name, text in encrypted if not opens(text)]
    found = {**counts, "encrypted": len(encrypted), "closed": len(closed), "closed_names": closed[:NAMED]}
    print(MARK, json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
