import numpy as np
import numpy.typing as npt

def shuffle(
    random_state: np.random.RandomState, order: npt.NDArray[np.intp]
) -> None: ...
