"""Insert, replace and remove a marked block of lines in a shared text file. Pure; all other bytes stay the same."""

from collections.abc import Iterator, Sequence

from ikto_core.plugins import IktoError


def with_block(content: bytes, ifname: str, lines: Sequence[str]) -> bytes:
    """Return the content with these lines as the device's block; without a block if there are no lines.

    An existing block keeps its place. A new one is appended, or put before a last line without a newline. Raises
    IktoError if a block has no END line, because the lines after it may not be Ikto's.
    """
    outside, position = _outside(content, ifname)
    if position is None:
        position = len(outside) - (1 if outside and not outside[-1].endswith(b"\n") else 0)
    return b"".join([*outside[:position], *_block(ifname, lines), *outside[position:]])


def names_outside(content: bytes, ifname: str) -> frozenset[str]:
    """Return the host names, in lower case, outside the device's block. Raises IktoError as `with_block` does."""
    entries = (line.partition(b"#")[0].split()[1:] for line in _outside(content, ifname)[0])
    return frozenset(name.decode(errors="replace").lower() for names in entries for name in names)


def _block(ifname: str, lines: Sequence[str]) -> Iterator[bytes]:
    if lines:
        yield f"# BEGIN ikto {ifname} (managed by the Ikto agent: changes in this block are lost)\n".encode()
        yield from (f"{line}\n".encode() for line in lines)
        yield f"# END ikto {ifname}\n".encode()


def _outside(content: bytes, ifname: str) -> tuple[list[bytes], int | None]:
    """Return the lines outside the device's blocks, and how many come before the first block; None: there is no block.

    Copies of the block are removed.
    """
    outside: list[bytes] = []
    position: int | None = None
    began = 0  # the line number of the current block's BEGIN; 0: outside a block
    for number, line in enumerate(_lines(content), 1):
        mark = _mark(line, ifname)
        if began and mark == b"BEGIN":
            break
        if mark == b"BEGIN":
            began, position = number, len(outside) if position is None else position
        elif began and mark == b"END":
            began = 0
        elif not began:
            outside.append(line)
    if began:
        hint = f"add a line '# END ikto {ifname}' after the agent's lines, or remove all of them"
        raise IktoError(f"the block of {ifname} that begins in line {began} has no END line", hint=hint)
    return outside, position


def _lines(content: bytes) -> list[bytes]:
    """Split into lines that keep their newline. A carriage return is part of the line."""
    *ended, last = content.split(b"\n")
    return [line + b"\n" for line in ended] + ([last] if last else [])


def _mark(line: bytes, ifname: str) -> bytes:
    """Return BEGIN or END if the line is such a marker of the device's block; empty otherwise."""
    match line.split()[:4]:
        case [b"#", (b"BEGIN" | b"END") as mark, b"ikto", name] if name == ifname.encode():
            return mark
    return b""
