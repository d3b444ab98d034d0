"""The one name that everything bears everywhere, and the tags of equations.

Paper, NumPy and Cython say the same of what has the same name.

Answers for: docs/derivations.md, tests/reference.py.
"""

import re

import pytest
import reference
from sources import DERIVATIONS, PACKAGE, TESTS, core_sources, read

from skbackprop.core.activations import Activation
from skbackprop.core.losses import Loss
from skbackprop.core.optimizers import Solver

#: With the files outside of the core that have equations of their own.
FILES = core_sources() | {
    name: read(PACKAGE / "dask" / name) for name in ("_rounds.py", "_cycles.py")
}
NAMES = [kind.name.lower() for kinds in (Activation, Loss, Solver) for kind in kinds]
HEADINGS = [line for line in read(DERIVATIONS).splitlines() if line.startswith("#")]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_its_paragraph(name: str) -> None:
    assert [line for line in HEADINGS if f"`{name}`" in line]


@pytest.mark.parametrize("name", [kind.name.lower() for kind in Activation])
def test_every_activation_is_in_the_reference(name: str) -> None:
    assert callable(getattr(reference, name))
    if name == "softmax":
        assert callable(reference.softmax_jacobian)
    else:
        assert reference.ACTIVATIONS[name] is getattr(reference, name)
        assert callable(reference.DERIVATIVES[name])


@pytest.mark.parametrize("name", [kind.name.lower() for kind in Loss])
def test_every_loss_is_in_the_reference(name: str) -> None:
    assert name in reference.LINKS
    if reference.LINKS[name] == "softmax":  # a function of Z alone
        body = read(TESTS / "reference.py")
        assert body.count(f'case "{name}"') >= 2
    else:
        assert reference.LOSSES[name] is getattr(reference, name)


@pytest.mark.parametrize("name", [kind.name.lower() for kind in Solver])
def test_every_solver_is_in_the_reference(name: str) -> None:
    assert callable(getattr(reference, f"{name}_step"))


def tags(text: str) -> set[str]:
    return set(re.findall(r"\(([A-Z]\d+)\)", text))


def docstring_tags(source: str) -> set[str]:
    """Tags of the docstrings and comments of a file."""
    return tags(" ".join(re.findall(r'""".*?"""|#[^\n]*', source, flags=re.S)))


@pytest.mark.parametrize("name", FILES)
def test_tags_of_kernels_are_those_of_the_document(name: str) -> None:
    used = docstring_tags(FILES[name])
    assert used <= tags(read(DERIVATIONS))
    assert used <= tags(read(TESTS / "reference.py"))


def test_every_tag_of_the_document_is_a_kernel() -> None:
    """(L3) is computed from Z alone, as (L5)."""
    kernels = set().union(*map(docstring_tags, FILES.values()))
    assert tags(read(DERIVATIONS)) - kernels <= {"L3"}
    assert len(kernels) >= 20
