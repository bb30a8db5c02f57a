"""A block of lines in a text file that others own: put in, replaced, taken out. Pure, and byte for byte."""

from collections.abc import Iterator, Sequence

from ikto_core.plugins import IktoError


def with_block(content: bytes, ifname: str, lines: Sequence[str]) -> bytes:
    """Return the file with these lines as the device's block, and without a block if there are none.

    The block stays where it is; a new one comes last, or before a last line that has no end. Nothing else changes.
    Raises IktoError if such a block has no end: what follows may be the owner's.
    """
    outside, place = _outside(content, ifname)
    if place is None:
        place = len(outside) - (1 if outside and not outside[-1].endswith(b"\n") else 0)
    return b"".join([*outside[:place], *_block(ifname, lines), *outside[place:]])


def names_beside(content: bytes, ifname: str) -> frozenset[str]:
    """Return the host names, in lower case, that the file gives outside the device's block. IktoError as above."""
    entries = (line.partition(b"#")[0].split()[1:] for line in _outside(content, ifname)[0])
    return frozenset(name.decode(errors="replace").lower() for names in entries for name in names)


def _block(ifname: str, lines: Sequence[str]) -> Iterator[bytes]:
    if lines:
        yield f"# BEGIN ikto {ifname} (the agent's: what is changed in here is lost)\n".encode()
        yield from (f"{line}\n".encode() for line in lines)
        yield f"# END ikto {ifname}\n".encode()


def _outside(content: bytes, ifname: str) -> tuple[list[bytes], int | None]:
    """Return the lines outside the device's blocks, and how many of them stand before the first; None: there is none.

    There is one block, unless somebody copied it: copies go.
    """
    outside: list[bytes] = []
    place: int | None = None
    began = 0  # the line in which the block began that we are in; 0: in none
    for number, line in enumerate(_lines(content), 1):
        mark = _mark(line, ifname)
        if began and mark == b"BEGIN":
            break
        if mark == b"BEGIN":
            began, place = number, len(outside) if place is None else place
        elif began and mark == b"END":
            began = 0
        elif not began:
            outside.append(line)
    if began:
        hint = f"put a line '# END ikto {ifname}' where the agent's lines end, or take all of them out"
        raise IktoError(f"the block of {ifname} that begins in line {began} does not end", hint=hint)
    return outside, place


def _lines(content: bytes) -> list[bytes]:
    """Return the lines with their ends, if they have one; a carriage return is a part of the line."""
    *ended, last = content.split(b"\n")
    return [line + b"\n" for line in ended] + ([last] if last else [])


def _mark(line: bytes, ifname: str) -> bytes:
    """Return what the line does to the device's block, BEGIN or END; empty: nothing."""
    match line.split()[:4]:
        case [b"#", (b"BEGIN" | b"END") as mark, b"ikto", name] if name == ifname.encode():
            return mark
    return b""
