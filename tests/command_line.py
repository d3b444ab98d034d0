"""The command line tool, called in this process."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd

from skbackprop import cli


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


def run(capsys, *argv):
    """Train, expecting success, and return what was printed."""
    status = cli.main(["train", *argv])
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    return out


def refuse(capsys, *argv):
    """Expect one line on standard error and nothing else; return the line."""
    status = cli.main(list(argv))
    out, err = capsys.readouterr()
    assert status == 2
    assert out == ""
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
