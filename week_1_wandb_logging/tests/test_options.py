import pytest

from train import main


def test_help_gives_each_default_once(cli):
    code, out, _ = cli(main, "--help")
    assert code == 0
    assert "default: 32" in out
    assert "None" not in out


@pytest.mark.parametrize(
    "option",
    [
        ["--epochs", "many"],
        ["--source", "moon"],
        ["--epochs", "0"],
        ["--batch-size", "-1"],
        ["--speed", "1"],
        ["--seed", "-1"],
    ],
)
def test_a_wrong_option_is_a_usage_error(cli, option):
    code, _, err = cli(main, *option)
    assert code == 2
    assert option[0] in err
