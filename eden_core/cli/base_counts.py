"""Numbers of bases as people write them: 8192, 100_000, 100k, 1M."""

import re

import typer

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


def parse_bases(text: str | int) -> int:
    """Return a number of bases.

    Raises:
        BadParameter: the text is no such number.

    >>> parse_bases("100k"), parse_bases("1.5M"), parse_bases("100_000"), parse_bases("8kb")
    (100000, 1500000, 100000, 8000)
    """
    match = re.fullmatch(r"(\d[\d_]*(?:\.\d+)?)([kmg]?)(?:bp?)?", str(text).strip().lower())
    bases = float(match[1].replace("_", "")) * _UNITS[match[2]] if match else 0.5
    if bases != int(bases):
        raise typer.BadParameter(f"{text!r} is no number of bases; write 8192, 100_000, 100k or 1M")
    return int(bases)
