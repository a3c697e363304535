"""How commands end."""

import pytest

from ops.commands import command
from testbed.progress import Failure


@command
def ends(how: str) -> int:
    match how:
        case "mistake":
            raise Failure("FILE=x: is not there.\nMend: name one that is.")
        case "stopped":
            raise KeyboardInterrupt
        case "bug":
            raise LookupError(how)
        case _:
            return 3


def test_a_command_ends_with_the_code_that_it_chose() -> None:
    assert ends("well") == 3


@pytest.mark.parametrize(
    ("how", "code", "said"), [("mistake", 1, "Mend: name one that is."), ("stopped", 130, "run the command again")]
)
def test_a_persons_mistake_or_interruption_is_told_without_a_traceback(
    how: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(how) == code
    found = capsys.readouterr()
    assert said in found.err
    assert found.out == ""


def test_a_mistake_of_ours_is_not_hidden() -> None:
    with pytest.raises(LookupError):
        ends("bug")
