"""Which uid an image's USER means."""

from __future__ import annotations

import pytest

from hubtool.contracts.accounts import account_of, accounts, resolve_uid

PASSWD = "root:x:0:0:root:/root:/bin/bash\njovyan:x:1000:100::/home/jovyan:/bin/bash\nbroken\n1234:x:77:77::/:/bin/sh\n"
USERS = [
    ("", 0),
    ("root", 0),
    ("0", 0),
    ("0:0", 0),
    (":100", 0),
    ("jovyan", 1000),
    ("jovyan:users", 1000),
    ("1000", 1000),
    ("1000:100", 1000),
    ("4711", 4711),
    ("1234", 77),
    ("nobody-here", None),
    ("-1", None),
    ("²", None),
]


@pytest.mark.parametrize(("user", "uid"), USERS)
def test_a_user_of_an_image_config_means_this_uid(user: str, uid: int | None) -> None:
    assert resolve_uid(user, PASSWD) == uid


def test_an_image_without_passwd_has_numbers_only() -> None:
    assert resolve_uid("jovyan", "") is None
    assert resolve_uid("1000", "") == 1000


def test_a_shell_that_is_left_out_is_sh() -> None:
    shells = [account.login_shell for account in accounts("a:x:1:1::/:/bin/zsh\nb:x:2:2::/:\nc:x:3:3::/\n")]
    assert shells == ["/bin/zsh", "/bin/sh", "/bin/sh"]


def test_the_home_stands_in_the_account() -> None:
    account = account_of(1000, PASSWD)
    assert account is not None
    assert account.home == "/home/jovyan"
    assert account_of(5, PASSWD) is None
