"""How the run user of an image could become root: groups, sudoers, doas, setuid bits, capabilities."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from hubtool.contracts.image import ImageUnderTest
from hubtool.image.files import Entry

# Groups that are root by another name: rules for sudo, the container engine, raw disks, the password hashes.
ROOT_GROUPS = frozenset({"root", "sudo", "wheel", "admin", "docker", "lxd", "disk", "shadow"})
# Setuid or setgid in the packages of Debian, Ubuntu, Fedora and Alpine; each lets a user do one thing.
KNOWN_SETUID = frozenset(
    """
    at bbsuid bsd-write bwrap chage chfn chkpwd chrome-sandbox chsh crontab dbus-daemon-launch-helper dotlockfile expiry
    fusermount fusermount3 gpasswd grub2-set-bootflag mount mount.cifs mount.nfs newgidmap newgrp newuidmap
    pam_timestamp_check passwd ping ping6 pkexec plocate polkit-agent-helper-1 screen ssh-agent ssh-keysign su sudo
    sudoedit umount unix_chkpwd userhelper utempter utmp vmware-user-suid-wrapper wall write Xorg.wrap
    """.split()  # noqa: SIM905
)
# chown, dac_override, dac_read_search, fowner, setgid, setuid, sys_module, sys_ptrace, sys_admin, setfcap
ROOT_CAPABILITIES = sum(1 << bit for bit in (0, 1, 2, 3, 6, 7, 16, 19, 21, 31))
SYSTEM_FOLDER = re.compile(r"(?:usr/)?(?:s?bin|lib\d*|libexec)/")
GRANT = re.compile(r"^\s*(?P<who>[^=]+?)\s+\S+\s*=\s*(?P<what>.+)$")
RUN_AS = re.compile(r"\([^)]*\)")
TAG = re.compile(r"\b[A-Z_]+:\s*")


def groups_of(user: str, gid: int, group: str) -> set[str]:
    """The names of USER's groups, its own gid's among them, by the text of /etc/group."""
    rows = [line.split(":") for line in group.splitlines()]
    rows = [row for row in rows if len(row) >= 4]
    return {row[0] for row in rows if user in row[3].split(",") or row[2] == str(gid)}


def sudo_grants(sudoers: str, user: str, uid: int, groups: Collection[str], allowed: Collection[str]) -> list[str]:
    """The lines of a sudoers file that let USER run what is not ALLOWED, one by one."""
    text = re.sub(r"\\\n", " ", sudoers)
    lines = [re.sub(r"#(?!\d).*", "", line) for line in text.splitlines()]  # #1000 is a uid
    names = {user, f"#{uid}", "ALL", *(f"%{group}" for group in groups)}
    for line in lines:
        alias = re.match(r"\s*User_Alias\s+(\w+)\s*=\s*(.+)", line)
        if alias and names & {name.strip() for name in alias[2].split(",")}:
            names.add(alias[1])
    return [line.strip() for line in lines if _grants(line, names, allowed)]


def _grants(line: str, names: Collection[str], allowed: Collection[str]) -> bool:
    match = GRANT.match(line)
    if match is None or re.match(r"\s*(?:Defaults|\w+_Alias)\b", line):
        return False
    if not {name.strip() for name in match["who"].split(",")} & set(names):
        return False
    commands = TAG.sub("", RUN_AS.sub("", match["what"])).split(",")
    return any(command.strip() not in allowed and not command.strip().startswith("!") for command in commands)


def doas_grants(conf: str, user: str, groups: Collection[str]) -> list[str]:
    """The lines of a doas.conf that let USER run something."""
    names = {user, *(f":{group}" for group in groups)}
    lines = [line.split("#")[0].strip() for line in conf.splitlines()]
    return [line for line in lines if line.startswith("permit") and names & set(line.split())]


def sudoers_of(image: ImageUnderTest) -> Iterator[tuple[str, str]]:
    """Path and text of each file of the sudo rules."""
    for path in sorted(image.files.visible):
        if path == "etc/sudoers" or re.fullmatch(r"etc/sudoers\.d/[^/.]*[^/.~]", path):
            yield f"/{path}", image.files.text(path) or ""


def powerful(image: ImageUnderTest, allowed: Collection[str]) -> dict[str, str]:
    """Programs that run with more rights than their user has, and are none of the ALLOWED or a distribution's own."""
    found = {}
    for path, entry in image.files.visible.items():
        what = _power(entry) if entry.kind == "file" else ""
        known = entry.name in KNOWN_SETUID and SYSTEM_FOLDER.match(path)
        if what and not known and f"/{path}" not in allowed:
            found[f"/{path}"] = what
    return found


def _power(entry: Entry) -> str:
    if entry.mode & 0o4000 and entry.mode & 0o111 and entry.uid == 0:
        return "setuid root"
    if entry.mode & 0o2000 and entry.mode & 0o010 and entry.gid == 0:
        return "setgid root"
    permitted = int.from_bytes(dict(entry.xattrs).get("security.capability", b"")[4:8], "little")
    return f"capabilities {permitted:#x}" if permitted & ROOT_CAPABILITIES else ""
