import base64
import hashlib
import json
import re

from eden_core.reporting.page import page

HOSTILE = "</script><script>alert(1)</script>@script@ \u2028 \ud800 &amp; <!--"


def test_data_cannot_leave_their_element():
    text = page({"parts": [], "id": HOSTILE})
    (data,) = re.findall(r'<script type="application/json" id="report">(.*?)</script>', text, re.DOTALL)
    assert json.loads(data)["id"] == HOSTILE
    assert "<" not in data
    assert text.count("</script>") == 2


def test_only_its_own_script_and_style_may_run():
    text = page({})
    for kind, source in {"script": r"<script>(.*?)</script>", "style": r"<style>(.*?)</style>"}.items():
        (code,) = re.findall(source, text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in text
    assert "default-src 'none'" in text


def test_nothing_is_loaded_and_no_markup_is_made_of_text():
    text = page({})
    assert not re.findall(r"(?:src|href)=|url\(|@import", text)
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
