from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hubtool.builders.instructions import Instruction, instructions

TEXT = """\
# syntax=docker/dockerfile:1
ARG A=1

from debian:12 as base
RUN apt-get update && \\
    # a comment inside

    apt-get install git
COPY <<EOF /etc/motd
RUN not an instruction
EOF
RUN <<-"END" bash
echo $A
  END
CMD ["sh"]
"""


def test_instructions_have_their_line_keyword_and_whole_value() -> None:
    assert list(instructions(TEXT)) == [
        Instruction(2, 2, "ARG", "A=1"),
        Instruction(4, 4, "FROM", "debian:12 as base"),
        Instruction(5, 8, "RUN", "apt-get update && apt-get install git"),
        Instruction(9, 11, "COPY", "<<EOF /etc/motd", "RUN not an instruction"),
        Instruction(12, 14, "RUN", '<<-"END" bash', "echo $A"),
        Instruction(15, 15, "CMD", '["sh"]'),
    ]


def test_the_escape_directive_says_what_continues_a_line() -> None:
    found = list(instructions("# escape=`\nFROM a\nRUN dir C:\\\nRUN one `\n two\n"))
    assert [(one.line, one.value) for one in found] == [(2, "a"), (3, "dir C:\\"), (4, "one two")]


def test_a_text_that_ends_in_the_middle_is_read_to_its_end() -> None:
    assert [one.value for one in instructions("FROM a\nRUN b \\")] == ["a", "b"]
    assert [one.documents for one in instructions("FROM a\nRUN <<EOF\nb\n")] == ["", "b"]


@given(st.text(alphabet="FROM RUN \\\n#<EOFab$`\"'=", max_size=80))
def test_no_text_is_too_odd_and_lines_only_grow(text: str) -> None:
    lines = [one.line for one in instructions(text)]
    assert lines == sorted(set(lines))
