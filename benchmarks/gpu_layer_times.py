"""Times PyTorch's counterparts of the layers that have device code, on a GPU.

Prints the columns of `gpu_layer_times.cpp`, at the same shapes, measured the same way.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from torch.nn import functional

SHAPES = ((32, 256, 56, 56), (32, 512, 28, 28), (32, 1024, 14, 14), (32, 2048, 7, 7))


def median_milliseconds(work: Callable[[], object]) -> float:
    """The median of 50 runs after 5, between device events."""
    times = []
    for run in range(-5, 50):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        end.synchronize()
        if run >= 0:
            times.append(begin.elapsed_time(end))
    return statistics.median(times)


def report(layer: str, tensor: torch.Tensor, name: str, ms: float, moved: int) -> None:
    """Prints a row; `moved`: how many tensors of the shape a pass must move."""
    shape = "x".join(map(str, tensor.shape))
    print(f"{layer},{shape},{name},{ms:.4f},{moved * tensor.nbytes / ms / 1e6:.0f}")


def time_layer(
    layer: str,
    operands: list[torch.Tensor],
    function: Callable[[], torch.Tensor],
    forward: int,
    backward: int,
) -> None:
    """Reports a function and its gradients; `forward`, `backward` as `moved` above."""
    top = function()
    diff = torch.randn_like(top)
    report(layer, top, "forward", median_milliseconds(function), forward)

    def gradients() -> None:
        torch.autograd.grad(top, operands, diff, retain_graph=True)

    report(layer, top, "backward", median_milliseconds(gradients), backward)


def main() -> None:
    """Times every layer at every shape."""
    print(f"# {torch.cuda.get_device_name()}, PyTorch {torch.__version__}")
    print("layer,shape,pass,milliseconds,GB/s")
    for shape in SHAPES:
        n, c = shape[:2]
        x, y = (torch.randn(shape, device="cuda", requires_grad=True) for _ in range(2))
        a = torch.randn((n, c, 1, 1), device="cuda", requires_grad=True)
        time_layer("addcmul", [a, x, y], lambda: torch.addcmul(y, a, x), 3, 4)  # noqa: B023
        scale, bias = (
            torch.randn(c, device="cuda", requires_grad=True) for _ in range(2)
        )
        mean, variance = torch.zeros(c, device="cuda"), torch.ones(c, device="cuda")
        for training, name in ((True, "batch_norm"), (False, "batch_norm eval")):

            def normalize() -> torch.Tensor:
                return functional.batch_norm(
                    x,  # noqa: B023
                    mean,  # noqa: B023
                    variance,  # noqa: B023
                    scale,  # noqa: B023
                    bias,  # noqa: B023
                    training,  # noqa: B023
                )

            time_layer(name, [x, scale, bias], normalize, 2, 3)


if __name__ == "__main__":
    main()
