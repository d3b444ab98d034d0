"""Model files made by a fuzzer that watches which lines of the reader are reached.

    pip install atheris
    python tests/fuzzing.py -max_total_time=600 CORPUS

The golden files are its first corpus; whatever is found is written down by the fuzzer.
"""

import sys
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["skbackprop", "json"]):
    import mutations


def change(data: bytes, max_size: int, seed: int) -> bytes:
    """Half by bytes, as the fuzzer does, half by what they mean."""
    if seed % 2:
        return bytes(atheris.Mutate(data, max_size))
    return mutations.mutated(data or b"\0", np.random.RandomState(seed))[:max_size]


def read(data: bytes) -> None:
    mutations.try_file(data)


def main() -> None:
    corpus = Path(next(each for each in sys.argv[1:] if not each.startswith("-")))
    corpus.mkdir(parents=True, exist_ok=True)
    for i, data in enumerate(mutations.sources()):
        (corpus / f"golden{i}").write_bytes(data)
    atheris.Setup(sys.argv, read, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
