"""The command line tool, called in this process."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd

from skbackprop import cli
from skbackprop.cli._options import parse
from skbackprop.cli._store import Store
from skbackprop.cli._tables import opened_table
from skbackprop.cli._training_table import read_training_table


def frame(rows=200, seed=0):
    """A table whose columns `label` and `amount` follow from the others."""
    rng = np.random.default_rng(seed)
    width = rng.normal(size=rows)
    colour = rng.choice(["red", "green", "blue"], size=rows)
    flag = rng.random(rows) < 0.5
    amount = 50 + 10 * width + 20 * (colour == "red")
    table = pd.DataFrame(
        {
            "width": width,
            "colour": colour,
            "flag": flag,
            "amount": amount,
            "label": np.where(width + 2 * flag > 1, "yes", "no"),
        }
    )
    return table


def read(name, *options, target="y"):
    """The table that a training would see."""
    parsed = parse(["train", name, "--target", target, *options])
    with opened_table(name, parsed, [target]) as table:
        return read_training_table(table, parsed, Store())


def run(capsys, *argv):
    """Run a command, expecting success, and return what was printed."""
    status = cli.main([*argv])
    out, err = capsys.readouterr()
    assert (status, err) == (0, ""), err
    return out


def refuse(capsys, *argv):
    """Expect one line on standard error and nothing else; return the line."""
    status = cli.main(list(argv))
    out, err = capsys.readouterr()
    assert (status, out) == (2, ""), err
    assert err.startswith("skbackprop: error: ")
    assert err.count("\n") == 1 and err.endswith("\n")
    return err


def number(pattern, out):
    """Return the number that follows `pattern` in the output."""
    found = re.search(pattern + r" (-?[\d.]+)", out)
    assert found, out
    return float(found[1])


def python(*argv, **environment):
    """Run the tool in a process of its own."""
    process = subprocess.run(
        [sys.executable, "-m", "skbackprop.cli", *argv],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return process.returncode, process.stdout, process.stderr
