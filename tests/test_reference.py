from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.errors import HubtoolError
from hubtool.reference import ImageReference, is_tag

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        ("busybox", "", "busybox", "", None),
        ("pangeo/ml-notebook:2026.01.30", "", "pangeo/ml-notebook", "2026.01.30", None),
        ("localhost:5000/x:T", "localhost:5000", "x", "T", None),
        ("localhost/x", "localhost", "x", "", None),
        ("us-central1-docker.pkg.dev/p/u/base-user-image:949086545647", "us-central1-docker.pkg.dev",
         "p/u/base-user-image", "949086545647", None),
        (f"quay.io/a/b@{DIGEST}", "quay.io", "a/b", "", DIGEST),
        (f"quay.io/a/b:main@{DIGEST}", "quay.io", "a/b", "main", DIGEST),
        ("[::1]:5000/a:t", "[::1]:5000", "a", "t", None),
    ],
)  # fmt: skip
def test_a_reference_is_read_as_docker_reads_it(
    text: str, registry: str, repository: str, tag: str, digest: str | None
) -> None:
    reference = ImageReference.parse(text)
    assert reference == ImageReference(registry, repository, tag, digest)
    assert str(reference) == text


@pytest.mark.parametrize(
    "text",
    ["", ":tag", "A/b:t", "a b", "a/../b", "a//b", "/a", "a/b:", "a:.x", "a:" + "x" * 129, "a@sha256:short", "a/b@",
     "quay.io/a;rm -rf:t", "ho st.io/a", "a\n", "a:t\n", "-x.io/a", "quay.io/" + "a" * 256],
)  # fmt: skip
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(HubtoolError):
        ImageReference.parse(text)


def test_docker_hub_may_be_left_out() -> None:
    short, long = ImageReference.parse("busybox:1"), ImageReference.parse("docker.io/library/busybox:2")
    assert short.same_repository(long)
    assert not short.same_repository(ImageReference.parse("quay.io/library/busybox"))
    assert not ImageReference.parse("x/busybox").same_repository(long)


@given(
    st.from_regex(
        r"[a-z0-9]{1,9}(\.[a-z]{2,5}(:[1-9][0-9]{0,4})?/[a-z0-9-]*[a-z0-9])?(:[\w][\w.-]{0,9})?", fullmatch=True
    )
)
def test_printing_undoes_reading(text: str) -> None:
    try:
        reference = ImageReference.parse(text)
    except HubtoolError:
        return
    assert ImageReference.parse(str(reference)) == reference
    assert str(reference) == text


def test_a_tag_is_checked_when_it_is_set() -> None:
    reference = ImageReference.parse("quay.io/a/b:old")
    assert str(reference.with_tag("new")) == "quay.io/a/b:new"
    with pytest.raises(HubtoolError, match="not a tag"):
        reference.with_tag("new; true")
    assert not is_tag("x\n")
