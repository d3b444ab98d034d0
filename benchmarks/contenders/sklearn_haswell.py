"""scikit-learn's MLPClassifier where OpenBLAS takes the CPU for a Haswell.

So it does by itself where it does not know the CPU: with its AVX2 kernels, at half the
speed of a machine with AVX-512.
"""

from functools import partial

from .in_child import prepare_on

prepare = partial(prepare_on, "Haswell")
