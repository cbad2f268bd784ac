"""Descriptions are Markdown, and math reaches MathJax as the author wrote it."""

import pytest

from databench_gateway.markdown import first_paragraph, markdown


@pytest.mark.parametrize(
    "math",
    [
        r"\( x_1 * y_2 * z \)",
        r"\[ a_1 \\ b_2 \]",
        "$$ a_1 * b_2 * c $$",
        "\\[\nx\n- y\n+ z\n= 1\n\\]",
        "$$\nx\n===\n$$",
        "\\begin{align}\na_1 &= b_1 \\\\\n\n- c\n\\end{align}",
    ],
)
def test_math_passes_through_untouched(math: str) -> None:
    html = markdown(f"before\n\n{math}\n\n*after*")
    assert math.replace("&", "&amp;") in html
    assert "<em>after</em>" in html


@pytest.mark.parametrize("math", [r"\( x_1 \)", r"\[ x_1 \]", "$$ x_1 $$"])
def test_math_may_stand_within_a_line_a_list_and_a_quotation(math: str) -> None:
    assert f">{math}</span> there" in markdown(f"here {math} there")
    assert math in markdown(f"- one\n- {math}\n- three")
    assert math in markdown(f"> quoted\n> {math}")


def test_math_that_interrupts_a_paragraph_is_a_block_of_its_own() -> None:
    assert markdown("with\n\\[\nx\n- y\n\\]\nfollowing") == (
        '<p>with</p>\n<div class="math">\\[\nx\n- y\n\\]</div>\n<p>following</p>\n'
    )


def test_signs_that_would_be_tags_are_escaped_inside_math() -> None:
    assert r"\( a &lt; b \)" in markdown(r"\( a < b \)")


def test_a_single_dollar_is_money() -> None:
    assert markdown("from $5 to $6") == "<p>from $5 to $6</p>\n"


def test_math_that_does_not_end_is_text() -> None:
    assert markdown(r"a \( and \[ alone") == "<p>a ( and [ alone</p>\n"


def test_math_in_code_is_code() -> None:
    assert r"<code>\(x\)</code>" in markdown(r"`\(x\)`")
    assert '<div class="math">' not in markdown("code:\n\n    \\[\n    x\n    \\]\n\nend")
    assert '<div class="math">' not in markdown("```\n\\[ x \\]\n```")


def test_html_is_shown_and_not_used() -> None:
    assert "<script>" not in markdown("<script>alert(1)</script>")
    assert "href" not in markdown("[x](javascript:alert)")


def test_links_and_tables_work() -> None:
    assert '<a href="https://example.org">here</a>' in markdown("[here](https://example.org)")
    assert "<table>" in markdown("a | b\n--|--\n1 | 2")


def test_headings_stay_below_the_title_of_the_page() -> None:
    assert markdown("# A\n\n## B") == "<h2>A</h2>\n<h3>B</h3>\n"
    assert markdown("## A\n\n###### B") == "<h2>A</h2>\n<h6>B</h6>\n"


def test_the_indentation_of_a_docstring_is_not_code() -> None:
    assert markdown("First.\n\n    Second.\n") == "<p>First.</p>\n<p>Second.</p>\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One *two*\nthree.\n\nFour.", "One <em>two</em>\nthree."),
        ("# Title\n\nText.", "Text."),
        (r"Of \(\pi\).", r'Of <span class="math">\(\pi\)</span>.'),
        ("", ""),
        ("# Title", ""),
    ],
)
def test_the_first_paragraph_is_what_a_card_says(text: str, expected: str) -> None:
    assert first_paragraph(text) == expected
