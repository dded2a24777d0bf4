import re

import pytest

from train import main


def test_help_gives_each_default_once(cli):
    code, out, _ = cli(main, "--help")
    assert code == 0
    helps = re.split(r"\n  (?=-)", out)[1:]  # one an option
    assert len(helps) == len(re.findall(r"\[-", out))  # as many as the usage line names
    without = ("-h", "--data", "--model", "--resume")
    for option in helps:
        assert option.count("default") == (0 if option.startswith(without) else 1), option
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
