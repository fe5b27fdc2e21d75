"""The page: one HTML file with style, script and data in it, which loads nothing."""

import base64
import hashlib
import json
import re
from importlib.resources import files
from typing import Any

_SLOT = re.compile("@(style_hash|script_hash|style|script|report)@")


def page(report: dict[str, Any]) -> str:
    """Return the page of a report.

    The ids in it are strangers' text: the data are JSON without a `<`, the script makes text nodes of them alone, and the
    page's policy lets no other script run and nothing be loaded.
    """
    template, style, script = (_text(f"page.{kind}") for kind in ("html", "css", "js"))
    slots = {
        "style": style,
        "script": script,
        "style_hash": _hash(style),
        "script_hash": _hash(script),
        "report": json.dumps(report, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
    }
    return _SLOT.sub(lambda slot: slots[slot[1]], template)


def _text(name: str) -> str:
    return (files("eden_core.reporting") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The source expression of Content Security Policy (W3C, level 2, section 4.2.4) that allows exactly this text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
