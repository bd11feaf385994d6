from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import pytest

from hubtool import process
from hubtool.errors import HubtoolError


def python(code: str) -> tuple[str, str, str]:
    return (sys.executable, "-c", code)


def test_what_a_program_prints_comes_back() -> None:
    done = process.run(*python("import sys; print('out'); print('err', file=sys.stderr)"))
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 0)


def test_a_failure_shows_the_last_lines_only() -> None:
    with pytest.raises(process.ProcessError, match="ended with code 3") as caught:
        process.run(*python("import sys; [print(n) for n in range(100)]; sys.exit(3)"))
    assert "99" in str(caught.value)
    assert "\n50\n" not in str(caught.value)


def test_a_word_with_shell_characters_stays_one_word() -> None:
    word = "a b; echo $HOME `id` 'x'"
    assert process.run(*python("import sys; print(sys.argv[1])"), word).stdout == word + "\n"


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(HubtoolError, match="no-such-program-here"):
        process.run("no-such-program-here")


def test_a_program_out_of_time_is_ended() -> None:
    started = time.monotonic()
    with pytest.raises(process.ProcessError, match="ran out of time"):
        process.run(*python("import time; time.sleep(60)"), timeout=0.5)
    assert time.monotonic() - started < 10


def test_a_variable_can_be_set_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONE", "1")
    code = "import os; print(os.environ.get('GONE'), os.environ['NEW'])"
    assert process.run(*python(code), env={"GONE": None, "NEW": "2"}).stdout == "None 2\n"


def test_lines_come_as_they_are_printed() -> None:
    code = "import time\nfor n in range(3): print(n, flush=True); time.sleep(0.5)"
    started = time.monotonic()
    lines = process.stream(*python(code))
    assert next(lines) == "0"
    assert time.monotonic() - started < 1.4
    assert list(lines) == ["1", "2"]


def test_a_stream_is_fed_to_the_program() -> None:
    data = b"x" * 3_000_000
    code = "import sys; print(len(sys.stdin.buffer.read()))"
    assert list(process.stream(*python(code), stdin=io.BytesIO(data))) == ["3000000"]


def test_a_streamed_failure_comes_after_its_lines() -> None:
    lines = process.stream(*python("import sys; print('one'); sys.exit(4)"))
    assert next(lines) == "one"
    with pytest.raises(process.ProcessError, match="code 4"):
        next(lines)


def test_leaving_a_stream_early_ends_what_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    code = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, '-c', 'import time, pathlib; time.sleep(1.5); pathlib.Path("{mark}").touch()'])
print('started', flush=True)
time.sleep(60)
"""
    lines = process.stream(*python(code))
    assert next(lines) == "started"
    lines.close()  # type: ignore[attr-defined]
    time.sleep(2)
    assert not mark.exists()
