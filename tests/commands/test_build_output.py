from __future__ import annotations

from pathlib import Path

import pytest

from hubtool.commands.build_output import elapsed, plain, show, step_of


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("#5 [ 2/26] RUN apt-get  update &&     true", "2/26 RUN apt-get update && true"),
        ("#12 [stage-1 10/12] COPY a b", "10/12 COPY a b"),
        ("#4 [1/2] FROM docker.io/library/x", "1/2 FROM docker.io/library/x"),
        ("STEP 3/9: RUN true", "3/9 RUN true"),
        ("[1/2] STEP 3/9: RUN true", "3/9 RUN true"),
        ("#1 [internal] load remote build context", None),
        ("#5 0.123 [1/2] not a step", None),
        ("plain text", None),
    ],
)
def test_a_line_that_starts_a_step_is_known(line: str, step: str | None) -> None:
    assert step_of(line) == step


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65.9, "1:05"), (3600, "60:00")])
def test_times_are_minutes_and_seconds(seconds: float, text: str) -> None:
    assert elapsed(seconds) == text


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("5%\r10%\rdone", "done"),
        ("ends\r", "ends"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("bell\x07 and\ttab", "bell and\ttab"),
        ("ümlaut", "ümlaut"),
    ],
)
def test_what_would_disturb_a_terminal_is_taken_out(line: str, text: str) -> None:
    assert plain(line) == text


def test_the_log_keeps_every_line_and_the_terminal_those_that_say_something(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "x.log"
    log.write_text("of the run before\n")
    lines = ["#5 [2/3] RUN x", f"#5 sha256:{'0' * 64}", "", "#5 0.1 hello"]
    with show("base", log) as output:
        for line in lines:
            output.line(line)
    assert log.read_text().splitlines() == lines
    shown = capsys.readouterr()
    assert shown.err.splitlines() == ["[base 0:00] 2/3 RUN x", "#5 0.1 hello"]
    assert shown.out == ""
