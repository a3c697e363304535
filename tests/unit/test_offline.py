"""What an offline diff takes from a stack file: no secret, no placeholder."""

import json
from pathlib import Path

import pytest
import yaml

from infra.settings import Settings
from infra.settings.load import SECRET_KEYS as MUST_BE_ENCRYPTED
from ops.offline import ENCRYPTED, SECRET_KEYS, in_short, offline_file
from ops.placeholders import filled
from testbed.progress import Failure


def written(tree: Path, config: dict[str, object]) -> Path:
    (tree / "stacks").mkdir(exist_ok=True)
    (tree / "Pulumi.yaml").write_text("name: airflow-platform\n", encoding="utf-8")
    content = yaml.safe_dump({"config": {f"airflow-platform:{key}": value for key, value in config.items()}})
    (tree / "stacks" / "Pulumi.prod.yaml").write_text(content, encoding="utf-8")
    return tree


def test_secrets_become_words_encrypted_or_not_wherever_they_stand(tmp_path: Path) -> None:
    config = {
        "ephemeral": True,
        "secrets": {"main": {"adminPassword": "hunter2", "env": {"TOKEN": {"secure": "v1:x"}}}},
        "ingressKey": {"secure": "v1:y"},
    }
    file = offline_file(written(tmp_path, config), "prod")
    assert "hunter2" not in str(file.plain) + str(file.secret)
    assert file.own == {
        "ephemeral": True,
        "secrets": {"main": {"adminPassword": ENCRYPTED, "env": {"TOKEN": ENCRYPTED}}},
        "ingressKey": ENCRYPTED,
    }
    assert set(file.digests) == {"secrets.main.adminPassword", "secrets.main.env.TOKEN", "ingressKey"}
    assert json.loads(file.secret["airflow-platform:ingressKey"]) == ENCRYPTED


def test_every_setting_that_is_a_secret_is_one_for_the_program_and_for_a_diff() -> None:
    secret = {field.alias for field in Settings.model_fields.values() if "Secret" in str(field.annotation)}
    assert secret == MUST_BE_ENCRYPTED.keys() == set(SECRET_KEYS)


def test_secrets_that_are_encrypted_in_one_piece_are_left_out_and_known_to_be_there(tmp_path: Path) -> None:
    file = offline_file(written(tmp_path, {"secrets": {"secure": "v1:z"}}), "prod")
    assert file.own == {}
    assert set(file.digests) == {"secrets"}


def test_placeholders_get_values_and_unknown_ones_their_own_name() -> None:
    assert filled({"a": ["group:YOUR-BREAK-GLASS", "YOUR-NEW-THING.example", 7]}) == {
        "a": ["group:break-glass@acme.example", "new-thing.example", 7]
    }


def test_a_stack_file_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    written(tmp_path, {})
    (tmp_path / "stacks" / "Pulumi.prod.yaml").write_text("config: [", encoding="utf-8")
    with pytest.raises(Failure, match=r"stack prod: Pulumi.prod.yaml is not valid YAML"):
        offline_file(tmp_path, "prod")


def test_of_a_traceback_the_place_in_the_program_and_the_last_line_are_shown() -> None:
    text = "\n".join(
        [
            "x",
            "Traceback (most recent call last):",
            '  File "/t/infra/a.py", line 3, in f',
            '  File "/b.py", line 9',
            "KeyError: 1",
        ]
    )
    assert in_short(text, Path("/t")) == "the program fails: infra/a.py, line 3: KeyError: 1"
    assert in_short("plain", Path("/t")) == "plain"
