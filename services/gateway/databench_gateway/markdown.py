"""Markdown of descriptions and READMEs to HTML, with math left for MathJax.

Owns which Markdown we speak: CommonMark with tables and strikethrough, no raw HTML, and the three forms of
math `\\( \\)`, `\\[ \\]` and `$$ $$` (a single dollar is money). Knows nothing of pages.
"""

import re
from collections.abc import Sequence
from inspect import cleandoc
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup, escape

_INLINE = re.compile(r"\\\(.+?\\\)|\\\[.+?\\\]|\$\$.+?\$\$", re.DOTALL)
_BLOCK = re.compile(
    r"(\\\[(?:(?!\n\s*\n).)+?\\\]|\$\$(?:(?!\n\s*\n).)+?\$\$|\\begin\{([a-zA-Z]+\*?)\}.+?\\end\{\2\})[ \t]*(?:\n|$)",
    re.DOTALL,
)


def _math_inline(state: StateInline, silent: bool) -> bool:
    found = _INLINE.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        state.push("math_inline", "span", 0).content = found.group()
    state.pos = found.end()
    return True


def _math_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    first = state.src[(at := state.bMarks[start] + state.tShift[start]) : at + 1]
    if first not in ("\\", "$") or state.is_code_block(start):
        return False
    found = _BLOCK.match(state.getLines(start, end, state.blkIndent, False).lstrip(" "))
    if found is None:
        return False
    if not silent:
        token = state.push("math_block", "div", 0)
        token.content, token.block = found.group(1), True
        lines = found.group().rstrip("\n").count("\n") + 1
        token.map = [start, start + lines]
        state.line = start + lines
    return True


def _render_math(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    token = tokens[index]
    end = "\n" if token.block else ""
    return f'<{token.tag} class="math">{escape(token.content)}</{token.tag}>{end}'


def _below_the_title(state: StateCore) -> None:
    """A page has its heading of the first level already; headings of a text that has one too move down."""
    headings = [token for token in state.tokens if token.type in ("heading_open", "heading_close")]
    if any(token.tag == "h1" for token in headings):
        for token in headings:
            token.tag = f"h{min(6, int(token.tag[1:]) + 1)}"


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.inline.ruler.before("escape", "math_inline", _math_inline)
    interrupts = ["paragraph", "reference", "blockquote", "list"]
    parser.block.ruler.before("fence", "math_block", _math_block, {"alt": interrupts})
    parser.core.ruler.push("below_the_title", _below_the_title)
    parser.add_render_rule("math_inline", _render_math)
    parser.add_render_rule("math_block", _render_math)
    return parser


_markdown = _parser()


def markdown(text: str) -> Markup:
    """Return a text, such as a docstring with its indentation, as HTML.

    >>> markdown("*twice* \\\\( x_1 \\\\)")
    Markup('<p><em>twice</em> <span class="math">\\\\( x_1 \\\\)</span></p>\\n')
    """
    return Markup(_markdown.render(cleandoc(text)))


def first_paragraph(text: str) -> Markup:
    """Return the first paragraph of a text as HTML without the `<p>` around it; empty when there is none."""
    tokens = _markdown.parse(cleandoc(text))
    for opening, inline in pairwise(tokens):
        if opening.type == "paragraph_open" and inline.children:
            return Markup(_markdown.renderer.render([inline], _markdown.options, {}))
    return Markup("")
