"""The instructions of x86_64 and aarch64 that ``elf`` needs, as bytes. Every one has the same length whatever its
operands, so that addresses may be filled in later.

Intel SDM volume 2; Arm ARM, A64 base instructions; the system calls' numbers and registers: syscall(2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

Condition = Literal["equal", "unequal", "less"]


class Machine(Protocol):
    """A kind of processor. "The result" is the register that calls leave theirs in."""

    number: int  # e_machine
    interpreter: str  # the dynamic loader that distributions agree on
    global_data: int  # the relocation that puts a symbol's address into a word
    syscalls: Mapping[str, int]
    syscall_registers: Sequence[int]
    function_registers: Sequence[int]

    def set(self, register: int, value: int) -> bytes:
        """Put VALUE into REGISTER."""
        ...

    def load(self, register: int, address: int) -> bytes:
        """Put the word at ADDRESS into REGISTER."""
        ...

    def save(self, address: int) -> bytes:
        """Put the result into the word at ADDRESS."""
        ...

    def save_stack(self, address: int) -> bytes:
        """Put the stack's address into the word at ADDRESS."""
        ...

    def peek(self, address: int, offset: int) -> bytes:
        """Take the word at the pointer that is kept at ADDRESS, plus OFFSET, as the result."""
        ...

    def system(self, number: int) -> bytes:
        """Ask the kernel for what NUMBER means."""
        ...

    def call(self, address: int) -> bytes:
        """Call the function whose address is the word at ADDRESS."""
        ...

    def branch(self, condition: Condition, value: int, distance: int) -> bytes:
        """Go DISTANCE bytes on from the end of this instruction where the result compares so to VALUE."""
        ...


def _word(value: int) -> bytes:
    return (value & (1 << 64) - 1).to_bytes(8, "little")


class X86:
    """x86_64; the result is rax, r11 is free for use."""

    number = 62
    interpreter = "/lib64/ld-linux-x86-64.so.2"
    global_data = 6
    syscalls: Mapping[str, int] = {
        "read": 0,
        "write": 1,
        "getuid": 102,
        "getdents64": 217,
        "exit_group": 231,
        "openat": 257,
        "unlinkat": 263,
        "ppoll": 271,
    }
    syscall_registers: Sequence[int] = (7, 6, 2, 10, 8)  # rdi rsi rdx r10 r8
    function_registers: Sequence[int] = (7, 6, 2, 1)  # rdi rsi rdx rcx

    def set(self, register: int, value: int) -> bytes:
        return bytes((0x48 | register >> 3, 0xB8 | register & 7)) + _word(value)

    def load(self, register: int, address: int) -> bytes:
        high, low = register >> 3, register & 7
        return self.set(register, address) + bytes((0x48 | high << 2 | high, 0x8B, low << 3 | low))

    def save(self, address: int) -> bytes:
        return self.set(11, address) + b"\x49\x89\x03"

    def save_stack(self, address: int) -> bytes:
        return b"\x48\x89\xe0" + self.save(address)

    def peek(self, address: int, offset: int) -> bytes:
        return self.load(11, address) + b"\x49\x8b\x83" + offset.to_bytes(4, "little")

    def system(self, number: int) -> bytes:
        return self.set(0, number) + b"\x0f\x05"

    def call(self, address: int) -> bytes:
        return self.set(0, 0) + self.set(11, address) + b"\x41\xff\x13"

    def branch(self, condition: Condition, value: int, distance: int) -> bytes:
        code = {"equal": 0x84, "unequal": 0x85, "less": 0x8C}[condition]
        return self.set(11, value) + b"\x4c\x39\xd8" + bytes((0x0F, code)) + distance.to_bytes(4, "little", signed=True)


class Arm:
    """aarch64; the result is x0, x9 is free for use."""

    number = 183
    interpreter = "/lib/ld-linux-aarch64.so.1"
    global_data = 1025
    syscalls: Mapping[str, int] = {
        "unlinkat": 35,
        "openat": 56,
        "getdents64": 61,
        "read": 63,
        "write": 64,
        "ppoll": 73,
        "exit_group": 94,
        "getuid": 174,
    }
    syscall_registers: Sequence[int] = (0, 1, 2, 3, 4)
    function_registers: Sequence[int] = (0, 1, 2, 3)

    def set(self, register: int, value: int) -> bytes:
        parts = [int.from_bytes(_word(value)[at : at + 2], "little") for at in (0, 2, 4, 6)]
        codes = (0xD2800000, 0xF2A00000, 0xF2C00000, 0xF2E00000)  # movz, then movk to each further 16 bits
        return b"".join(self._code(code | part << 5 | register) for code, part in zip(codes, parts, strict=True))

    def load(self, register: int, address: int) -> bytes:
        return self.set(register, address) + self._code(0xF9400000 | register << 5 | register)

    def save(self, address: int) -> bytes:
        return self.set(9, address) + self._code(0xF9000120)

    def save_stack(self, address: int) -> bytes:
        return self._code(0x910003E0) + self.save(address)

    def peek(self, address: int, offset: int) -> bytes:
        return self.load(9, address) + self._code(0xF9400120 | offset // 8 << 10)

    def system(self, number: int) -> bytes:
        return self.set(8, number) + self._code(0xD4000001)

    def call(self, address: int) -> bytes:
        return self.load(9, address) + self._code(0xD63F0120)

    def branch(self, condition: Condition, value: int, distance: int) -> bytes:
        code = {"equal": 0x0, "unequal": 0x1, "less": 0xB}[condition]
        steps = distance // 4 + 1 & 0x7FFFF  # counted from the branch itself
        return self.set(9, value) + self._code(0xEB09001F) + self._code(0x54000000 | steps << 5 | code)

    @staticmethod
    def _code(value: int) -> bytes:
        return value.to_bytes(4, "little")


# By the names that images have for them.
MACHINES: Mapping[str, Machine] = {"amd64": X86(), "arm64": Arm()}
