"""Makes the administrator, or gives an existing one its present password. Safe to run again.

Airflow's own command wants the password as an argument, where any process listing shows it; this reads a file.

Usage: create_admin.py FOLDER EMAIL    (FOLDER holds the files `username` and `password`)
"""

import sys
from pathlib import Path

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils.providers_configuration_loader import providers_configuration_loaded


@providers_configuration_loaded
def main(folder: Path, email: str) -> None:
    username = (folder / "username").read_text(encoding="utf-8")
    password = (folder / "password").read_text(encoding="utf-8")
    with get_application_builder() as builder:
        manager = builder.sm
        role = manager.find_role("Admin")
        user = manager.find_user(username=username)
        if user is None:
            if not manager.add_user(username, "Airflow", "Administrator", email, role, password=password):
                sys.exit(f"user {username} could not be made: is {email} taken by another user?")
            print(f"user {username} made")
            return
        if role not in user.roles:
            user.roles = [*user.roles, role]
            manager.update_user(user)
        if not manager.reset_password(user.id, password):
            sys.exit(f"the password of user {username} could not be set")
        print(f"user {username} has its present password")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
