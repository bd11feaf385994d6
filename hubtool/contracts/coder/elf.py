"""ELF programs, made from a few steps: no compiler is needed to have one, and nothing of it is taken from elsewhere.

A program is a list of steps, one after the other, over words of memory that have names. It is static, or linked to
the libraries that it names and then started by the dynamic loader. The format: elf(5).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from hubtool.contracts.coder.machine import Condition, Machine

BASE = 0x400000
PAGE = 0x10000  # the largest that kernels of these machines have
BUFFER = 8192
HEADER, PROGRAM_HEADER, SYMBOL = 64, 56, 24


@dataclass(frozen=True)
class Word:
    """What a word that was saved holds; as an argument, or as what to peek at. ``stack`` is where the kernel put the
    program's arguments."""

    name: str


@dataclass(frozen=True)
class Buffer:
    """The address of 8 KiB of memory to write to."""


Argument = int | bytes | Word | Buffer  # bytes: their address, and a NUL after them


@dataclass(frozen=True)
class Ask:
    """Ask the kernel: system call ``name``."""

    name: str
    arguments: Sequence[Argument] = ()


@dataclass(frozen=True)
class Call:
    """Call a library's function."""

    name: str
    arguments: Sequence[Argument] = ()


@dataclass(frozen=True)
class Save:
    """Keep the result under a name."""

    name: str


@dataclass(frozen=True)
class Peek:
    """Take the word that ``pointer`` leads to, ``offset`` bytes on."""

    pointer: Word
    offset: int = 0


@dataclass(frozen=True)
class Go:
    """Go on at the label ``to`` where the result is so to ``value``."""

    to: str
    condition: Condition
    value: int


@dataclass(frozen=True)
class Label:
    name: str


Step = Ask | Call | Save | Peek | Go | Label


def program(machine: Machine, steps: Sequence[Step], libraries: Sequence[str] = ()) -> bytes:
    """An ELF program for MACHINE that does STEPS; linked to LIBRARIES where there are any, else static."""
    return _Program(machine, steps, libraries).whole()


class _Program:
    """The first segment holds headers, constants and code; the second what is written to."""

    def __init__(self, machine: Machine, steps: Sequence[Step], libraries: Sequence[str]) -> None:
        self._machine = machine
        self._steps = [Save("stack"), *steps]
        self._libraries = libraries
        self._functions = list(dict.fromkeys(step.name for step in steps if isinstance(step, Call)))
        self._words = list(dict.fromkeys(step.name for step in self._steps if isinstance(step, Save)))
        self._labels: dict[str, int] = {}
        self._constants = bytearray()
        self._places: dict[bytes, int] = {}
        self._start = HEADER + PROGRAM_HEADER * 5

    def whole(self) -> bytes:
        self._link()
        self._code()  # for the labels, and all constants
        code_at = (self._start + len(self._constants) + 15) & ~15
        code = self._code()
        read_only = (self._headers(code_at, len(code)) + self._constants).ljust(code_at, b"\0") + code
        assert len(read_only) <= PAGE
        return read_only.ljust(PAGE, b"\0") + self._writable()

    def _constant(self, value: bytes) -> int:
        """The address of VALUE among the constants."""
        if value not in self._places:
            self._constants += bytes(-len(self._constants) % 8)
            self._places[value] = BASE + self._start + len(self._constants)
            self._constants += value + b"\0"
        return self._places[value]

    # The second segment: a word a function (filled in by the loader), the saved words, the dynamic table, the buffer.

    def _data(self, index: int) -> int:
        return BASE + PAGE + 8 * index

    def _word(self, name: str) -> int:
        return self._data(len(self._functions) + self._words.index(name))

    @property
    def _table_at(self) -> int:
        return self._data(len(self._functions) + len(self._words))

    def _writable(self) -> bytes:
        return bytes(self._table_at - self._data(0)) + self._table

    def _link(self) -> None:
        """What the loader is told: libraries, symbols, and where each function's address goes."""
        self._table = b""
        if not self._libraries:
            return
        names = bytearray(b"\0")
        at = {}
        for name in (*self._libraries, *self._functions):
            at[name] = len(names)
            names += name.encode() + b"\0"
        symbols, places = bytes(SYMBOL), b""
        for number, name in enumerate(self._functions):
            symbols += struct.pack("<IBBHQQ", at[name], 0x12, 0, 0, 0, 0)
            places += struct.pack("<QQq", self._data(number), (number + 1) << 32 | self._machine.global_data, 0)
        entries = [(1, at[library]) for library in self._libraries]
        entries += [(5, self._constant(bytes(names))), (10, len(names)), (6, self._constant(symbols)), (11, SYMBOL)]
        entries += [(7, self._constant(places)), (8, len(places)), (9, 24), (0, 0)]
        self._table = b"".join(struct.pack("<qQ", *entry) for entry in entries)
        self._constant(self._machine.interpreter.encode())

    def _headers(self, code_at: int, code_size: int) -> bytes:
        def segment(kind: int, flags: int, at: int, size: int, memory: int, align: int) -> bytes:
            return struct.pack("<IIQQQQQQ", kind, flags, at, BASE + at if size else 0, 0, size, memory, align)

        written = len(self._writable())
        segments = [
            segment(1, 5, 0, code_at + code_size, code_at + code_size, PAGE),
            segment(1, 6, PAGE, written, written + BUFFER, PAGE),
            segment(0x6474E551, 6, 0, 0, 0, 16),  # a stack that holds no code
        ]
        if self._libraries:
            loader = self._machine.interpreter.encode()
            segments.insert(0, segment(3, 4, self._constant(loader) - BASE, len(loader) + 1, len(loader) + 1, 1))
            segments.append(segment(2, 6, self._table_at - BASE, len(self._table), len(self._table), 8))
        rest = (2, self._machine.number, 1, BASE + code_at, HEADER, 0, 0)
        sizes = (HEADER, PROGRAM_HEADER, len(segments), 64, 0, 0)
        header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", *rest, *sizes)
        return (header + b"".join(segments)).ljust(self._start, b"\0")

    def _code(self) -> bytes:
        code = bytearray()
        for number, step in enumerate(self._steps):
            if isinstance(step, Label):
                self._labels[step.name] = len(code)
            elif number == 0:
                code += self._machine.save_stack(self._word("stack"))
            else:
                code += self._bytes(step, len(code))
        return bytes(code)

    def _bytes(self, step: Step, at: int) -> bytes:
        machine = self._machine
        if isinstance(step, Ask):
            arguments = self._arguments(step.arguments, machine.syscall_registers)
            return arguments + machine.system(machine.syscalls[step.name])
        if isinstance(step, Call):
            arguments = self._arguments(step.arguments, machine.function_registers)
            return arguments + machine.call(self._data(self._functions.index(step.name)))
        if isinstance(step, Save):
            return machine.save(self._word(step.name))
        if isinstance(step, Peek):
            return machine.peek(self._word(step.pointer.name), step.offset)
        assert isinstance(step, Go)
        size = len(machine.branch(step.condition, step.value, 0))
        return machine.branch(step.condition, step.value, self._labels.get(step.to, at) - at - size)

    def _arguments(self, arguments: Sequence[Argument], registers: Sequence[int]) -> bytes:
        return b"".join(self._argument(*pair) for pair in zip(registers, arguments, strict=False))

    def _argument(self, register: int, argument: Argument) -> bytes:
        if isinstance(argument, Word):
            return self._machine.load(register, self._word(argument.name))
        if isinstance(argument, Buffer):
            return self._machine.set(register, self._table_at + len(self._table))
        return self._machine.set(register, self._constant(argument) if isinstance(argument, bytes) else argument)
