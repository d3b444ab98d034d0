"""PyTorch as it comes: nn.Sequential, autograd, the fused optimisers."""

import numpy as np
import torch
from torch import nn

from . import Setup, Training, initial_parameters


def prepare(X: np.ndarray, y: np.ndarray, setup: Setup) -> Training:
    """Return the usual training loop."""
    torch.set_num_threads(setup.threads)
    start = [torch.from_numpy(p) for p in initial_parameters(X, y, setup)]
    X_all = torch.from_numpy(X)
    binary = start[-1].shape[0] == 1
    y_all = torch.from_numpy(y.astype(X.dtype)[:, None] if binary else y)
    loss_function = nn.BCEWithLogitsLoss() if binary else nn.CrossEntropyLoss()

    layers: list[nn.Module] = []
    for W in start[::2]:
        layers += [nn.Linear(W.shape[0], W.shape[1], dtype=X_all.dtype), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    parameters = list(model.parameters())

    def restart() -> torch.optim.Optimizer:
        with torch.no_grad():
            for parameter, value in zip(parameters, start, strict=True):
                # nn.Linear holds W transposed; .T leaves a bias as it is.
                parameter.copy_(value.T if value.ndim == 2 else value)
        rate = setup.learning_rate
        if setup.solver == "adam":
            return torch.optim.Adam(parameters, lr=rate, fused=True)
        return torch.optim.SGD(
            parameters, lr=rate, momentum=0.9, nesterov=True, fused=True
        )

    def train(epochs: int) -> float:
        torch.manual_seed(setup.random_state)
        optimizer = restart()
        total = X_all.new_zeros(())
        for _ in range(epochs):
            total.zero_()
            for rows in torch.randperm(len(X_all)).split(setup.batch_size):
                optimizer.zero_grad(set_to_none=True)
                output = model(X_all.index_select(0, rows))
                loss = loss_function(output, y_all.index_select(0, rows))
                loss.backward()
                optimizer.step()
                total.add_(loss.detach(), alpha=len(rows))
        return float(total) / len(X_all)

    return train
