"""Names of recipes and data sets are text in the Markdown report."""

import pytest

from orchestrator.report.pages import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("<img src=x onerror=y>", r"\<img src=x onerror=y\>"),
        ("[here](http://x)", r"\[here\](http://x)"),
        ("*b* `c`\n# d", r"\*b\* \`c\` # d"),
        ("camerabench_vqa", "camerabench_vqa"),
    ],
)
def test_what_would_be_more_than_text_is_escaped(text: str, shown: str) -> None:
    assert plain(text) == shown
