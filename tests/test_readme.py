"""The README's examples run as they are printed."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

README = Path(__file__).resolve().parent.parent / "README.md"
FENCED = re.compile(r"^ *```python\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
BLOCKS = [dedent(code) for code in FENCED.findall(README.read_text(encoding="utf-8"))]


def run(block, capsys):
    exec(compile(block, str(README), "exec"), {})
    return capsys.readouterr().out


def test_examples_are_found():
    assert len(BLOCKS) == 2


def test_grid_search_finds_a_good_model(capsys):
    printed = run(BLOCKS[0], capsys)
    assert float(printed.split()[-1]) > 0.9


def test_network_prints_what_the_comment_says(capsys):
    assert [float(x) for x in re.findall(r"-?\d+\.\d*", run(BLOCKS[1], capsys))] == [
        0.5,
        pytest.approx(-1.0),
        pytest.approx(0.0),
    ]
