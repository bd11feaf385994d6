"""What several checks ask of a workstation's image and settings."""

from __future__ import annotations

import re

import pytest

from hubtool.contracts import Settings
from hubtool.contracts.accounts import Account, account_of
from hubtool.contracts.image import ImageUnderTest
from hubtool.reference import ImageReference

# The files in which torch and tensorflow keep what they were made for.
CUDA_FACTS = {
    "torch/version.py": re.compile(r"^cuda\s*(?::[^=\n]*)?=\s*['\"]", re.MULTILINE),
    "tensorflow/python/platform/build_info.py": re.compile(r"['\"]is_cuda_build['\"]\s*[,:]\s*True"),
}


def home_of(settings: Settings) -> str:
    """The home directory that the platform expects."""
    return (settings.parameters.home or f"/home/{settings.user}").rstrip("/")


def owner_account(image: ImageUnderTest, settings: Settings) -> Account:
    """The run user's account. Skips where there is none."""
    account = account_of(settings.uid, image.passwd)
    if account is None:
        pytest.skip(f"/etc/passwd has no uid {settings.uid}: see S2")
    return account


def resolve_gid(user: str, image: ImageUnderTest) -> int | None:
    """The gid that an image config's ``User`` means, name or number; None for a name that is not there."""
    _, colon, group = user.partition(":")
    if colon and group.isdigit():
        return int(group)
    if colon:
        rows = [line.split(":") for line in (image.files.text("/etc/group") or "").splitlines()]
        return next((int(row[2]) for row in rows if row[0] == group and row[2:3] and row[2].isdigit()), None)
    account = account_of(image.uid, image.passwd) if image.uid is not None else None
    return account.gid if account is not None else 0


def is_cuda(settings: Settings) -> bool:
    """Whether the image is to be made for CUDA."""
    if settings.parameters.cuda is not None:
        return settings.parameters.cuda
    reference = reference_of(settings)
    return reference is not None and "cuda" in (reference.tag or "")


def reference_of(settings: Settings) -> ImageReference | None:
    """The repository and tag that the image is known by; None for an archive, and for an id."""
    named = settings.reference
    if not named or settings.archive or re.fullmatch(r"(?:sha256:)?[0-9a-f]{12,64}", named):
        return None
    return ImageReference.parse(named)


def cuda_builds(image: ImageUnderTest) -> dict[str, bool]:
    """The torch and tensorflow in IMAGE by path, each with whether it is made for CUDA."""
    return {
        f"/{path}": bool(told.search(image.files.text(path) or ""))
        for path in image.files.visible
        for end, told in CUDA_FACTS.items()
        if path.endswith(f"-packages/{end}")
    }


def guesses(settings: Settings) -> list[str]:
    """The password that the image was made with, where hubtool.yaml says it, else those that guides tell to use."""
    told = settings.parameters.default_password
    return [told] if told else list(dict.fromkeys([settings.user, "password"]))
