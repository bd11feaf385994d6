"""Users of an image, as its /etc/passwd has them (passwd(5))."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Account:
    """A line of /etc/passwd."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str = ""

    @property
    def login_shell(self) -> str:
        """The program that a terminal opens."""
        return self.shell or "/bin/sh"


def accounts(passwd: str) -> list[Account]:
    """The accounts of a passwd file; lines that are none are left out."""
    found = []
    for line in passwd.splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and fields[2].isdigit() and fields[3].isdigit():
            found.append(Account(fields[0], int(fields[2]), int(fields[3]), fields[5], *fields[6:7]))
    return found


def resolve_uid(user: str, passwd: str) -> int | None:
    """The uid that an image config's ``User`` means: name or number, with or without a group; "" is root.

    None for a name that PASSWD does not hold: engines refuse to start such an image.
    """
    name = user.partition(":")[0]
    if name == "":
        return 0
    for account in accounts(passwd):
        if account.name == name:
            return account.uid
    return int(name) if name.isascii() and name.isdigit() else None


def account_of(uid: int, passwd: str) -> Account | None:
    """The first account with UID; None where there is none."""
    return next((account for account in accounts(passwd) if account.uid == uid), None)
