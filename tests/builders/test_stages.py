from __future__ import annotations

import pytest

from hubtool.builders.stages import Stage, base_image, extend, stages

HARD = """\
# syntax=docker/dockerfile:1
ARG BASE=ubuntu
from --platform=$BUILDPLATFORM golang:1 as Build
USER nobody
RUN echo "one \\
FROM not-a-stage \\
# a comment within
USER not-a-user"
RUN <<EOF
FROM also-not
USER neither
EOF
FROM build
FROM scratch AS empty
COPY --from=build /x /x
FROM debian:12
USER 1000:100
"""


def test_stages_are_found_among_continuations_heredocs_and_comments() -> None:
    assert stages(HARD) == [
        Stage("golang:1", "Build", "nobody", "golang:1"),
        Stage("build", "", "nobody", "golang:1"),
        Stage("scratch", "empty", "", "scratch"),
        Stage("debian:12", "", "1000:100", "debian:12"),
    ]


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("FROM ubuntu:24.04\n", "ubuntu:24.04"),
        ("FROM a AS x\nFROM b AS y\nFROM x\n", "a"),
        ("ARG V=1\nFROM ubuntu:$V\n", "ubuntu:1"),
        ("FROM scratch\n", None),
        ("FROM x AS x\n", "x"),
        ("", None),
        ("RUN true\n", None),
    ],
)
def test_the_base_image_is_the_last_stages(text: str, base: str | None) -> None:
    assert base_image(text) == base


def test_the_base_image_is_that_of_the_stage_that_is_built() -> None:
    text = "FROM a AS x\nFROM x AS y\nFROM b\n"
    assert [base_image(text, {}, target) for target in ("y", "X", "1", "2", None)] == ["a", "a", "a", "b", "b"]


def test_lines_are_added_after_each_from_and_at_the_end() -> None:
    made = extend(
        HARD, lambda stage: f"START {stage.base} {stage.user}", lambda stage: f"END {stage.base} {stage.user}"
    )
    assert [line for line in made.splitlines() if line.startswith(("START", "END"))] == [
        "START golang:1 ",
        "START build nobody",
        "START scratch ",
        "START debian:12 ",
        "END debian:12 1000:100",
    ]
    without = "".join(f"{line}\n" for line in made.splitlines() if not line.startswith(("START", "END")))
    assert without == HARD


@pytest.mark.parametrize(
    ("target", "after"), [("Build", "USER neither\nEOF"), ("0", "USER neither\nEOF"), ("2", "/x /x")]
)
def test_lines_are_added_at_the_end_of_the_stage_that_is_built(target: str, after: str) -> None:
    made = extend(HARD, lambda stage: "", lambda stage: f"END {stage.base} {stage.user}\n", {}, target)
    found = made.replace("\n\n", "\n")
    base = "scratch " if target == "2" else "golang:1 nobody"
    assert f"{after}\nEND {base}\nFROM " in found
    assert found.count("END ") == 1


def test_a_file_without_from_stays() -> None:
    assert extend("RUN true\n", lambda stage: "x", lambda stage: "y") == "RUN true\n"
