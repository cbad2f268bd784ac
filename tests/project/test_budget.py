"""Files and functions stay small enough to be read at one go."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("analyses", "benchmarks", "client-js", "scripts", "services", "src", "tests")
SKIPPED = {"node_modules", "client", "__pycache__"}
FILE_LINES = 400
FUNCTION_LINES = 60

TS_FUNCTION = re.compile(
    r"""^(?P<indent>\ *)(?:
        (?:export\ |default\ |async\ )*function\b.*        # function f(
        | (?:export\ )?const\ [^=]+=\ (?:async\ )?\(.*=>\ # const f = (...) =>
        | (?!(?:if|for|while|switch|catch|return|describe)\b)(?:[a-z]+\ )*[\w#]+(?:<[^>]*>)?\(.*\).*  # a method
    )\{$""",
    re.VERBOSE,
)


def sources(*suffixes: str) -> list[str]:
    return [
        str(path.relative_to(ROOT))
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in suffixes and not SKIPPED & set(path.relative_to(ROOT).parts)
    ]


def python_functions(text: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def typescript_functions(text: str) -> Iterator[tuple[str, int]]:
    """Functions of formatted code: each ends at the first brace with the indentation of its head."""
    lines = text.splitlines()
    for start, line in enumerate(lines):
        if head := TS_FUNCTION.match(line):
            closing = head["indent"] + "}"
            end = next(n for n in range(start + 1, len(lines)) if lines[n].startswith(closing))
            yield line.strip(), end - start + 1


@pytest.mark.parametrize("file", sources(".py", ".ts", ".mjs"))
def test_files_are_at_most_400_lines_long(file: str) -> None:
    assert len((ROOT / file).read_text().splitlines()) <= FILE_LINES


@pytest.mark.parametrize("file", sources(".py"))
def test_python_functions_are_at_most_60_lines_long(file: str) -> None:
    found = python_functions((ROOT / file).read_text())
    assert [each for each in found if each[1] > FUNCTION_LINES] == []


@pytest.mark.parametrize("file", sources(".ts", ".mjs"))
def test_typescript_functions_are_at_most_60_lines_long(file: str) -> None:
    found = typescript_functions((ROOT / file).read_text())
    assert [each for each in found if each[1] > FUNCTION_LINES] == []


def test_typescript_functions_are_found() -> None:
    code = """
export async function one(a: string): Promise<void> {
  if (a) {
    return;
  }
}
class C {
  private async two<T>(b: T): Promise<T> {
    return b;
  }
}
const three = (c: number) => {
  return c;
};
"""
    assert [lines for _, lines in typescript_functions(code)] == [5, 3, 3]
