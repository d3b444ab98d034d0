"""skbackprop with its AVX2 kernels, also where the machine has AVX-512."""

from functools import partial

from .in_child import prepare_at

prepare = partial(prepare_at, "avx2")
