"""Makes the administrator and the API clients, or gives existing ones their present passwords. Safe to run again.

Airflow's own command wants the password as an argument, where any process listing shows it; this reads files.

Usage: create_admin.py FOLDER EMAIL CLIENTS CLIENTS_FOLDER    (FOLDER holds the files `username` and `password`; CLIENTS
is JSON, the role of each client by its user name; CLIENTS_FOLDER holds a file with the password of each)
"""

import json
import sys
from pathlib import Path

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils.providers_configuration_loader import providers_configuration_loaded


@providers_configuration_loaded
def main(folder: Path, email: str, roles: dict[str, str], passwords: Path) -> None:
    username = (folder / "username").read_text(encoding="utf-8")
    password = (folder / "password").read_text(encoding="utf-8")
    with get_application_builder() as builder:
        manager = builder.sm
        ensure(manager, username, "Administrator", email, "Admin", password, keep_roles=True)
        for client, role in roles.items():
            secret = (passwords / client).read_text(encoding="utf-8")
            ensure(manager, client, "API client", address_of(client), role, secret, keep_roles=False)
        for user in manager.get_all_users():
            # By its address: people's names may begin like a client's.
            if user.email == address_of(user.username) and user.username not in roles and user.active:
                user.active = False
                manager.update_user(user)
                print(f"user {user.username} is locked out: it is no longer an API client")


def address_of(client):
    """What stands for an e-mail address: every user must have one, and nobody can have this one at a provider."""
    return f"{client}@localhost"


def ensure(manager, username, surname, email, role_name, password, *, keep_roles):
    """The user with this role and password, made where there is none. Others of its roles go unless ``keep_roles``."""
    role = manager.find_role(role_name)
    if role is None:
        sys.exit(f"user {username}: there is no role {role_name}. Make it in the UI first (Security, Roles)")
    user = manager.find_user(username=username)
    if user is None:
        if not manager.add_user(username, "Airflow", surname, email, role, password=password):
            sys.exit(f"user {username} could not be made: is {email} taken by another user?")
        print(f"user {username} made")
        return
    wanted = [*user.roles, role] if keep_roles and role not in user.roles else user.roles if keep_roles else [role]
    if wanted != list(user.roles) or not user.active:
        user.roles, user.active = wanted, True
        manager.update_user(user)
    if not manager.reset_password(user.id, password):
        sys.exit(f"the password of user {username} could not be set")
    print(f"user {username} has its present password")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]), Path(sys.argv[4]))
