"""Sizes as people read them."""

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def size_text(size: float) -> str:
    """Return a number of bytes in units of a thousand.

    >>> [size_text(n) for n in (0, 999, 1_000, 12_345_678, 999_999)]
    ['0 bytes', '999 bytes', '1 kB', '12.3 MB', '1 MB']
    """
    unit = 0
    while size >= 999.5 and unit + 1 < len(_UNITS):
        size, unit = size / 1000, unit + 1
    return f"{size:.3g} {_UNITS[unit]}"
