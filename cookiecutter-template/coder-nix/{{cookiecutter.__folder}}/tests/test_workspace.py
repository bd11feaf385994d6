"""What this image promises beyond the contract; `hubtool test` runs these files against a started workspace."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("command", ["git --version", "jq --version", "less --version", "ssh -V"])
def test_a_program_runs(host, command):
    done = host.run(command)
    assert done.rc == 0, done.stderr


def test_a_new_file_in_the_home_directory_is_the_workspace_user_s(host):
    done = host.run("cd ~ && touch new && stat -c %U new")
    assert done.stdout.strip() == "coder", done.stderr
