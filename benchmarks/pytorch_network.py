"""The networks in PyTorch, as peers to measure against.

Reads one job as JSON from its command line and prints the result as JSON; see
`peers.py` and `gpu_peers.py`. Needs `pip install torch`; nothing of sknet-caffe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import measurement
import torch
from torch import nn
from torch.nn import functional as F

WIDTHS = (128, 256, 512, 1024)
GROUPS = 32


@dataclass(frozen=True)
class Description:
    """What the networks differ in, and what the published definitions count.

    Attributes:
        learned: Parameters.
        depths: Blocks of each stage.
        attention: Width of the hidden layer of each stage's SK units, if it has such.
        squeezed: Whether blocks have a squeeze-and-excitation gate.
    """

    learned: int
    depths: tuple[int, ...] = (3, 4, 6, 3)
    attention: tuple[int, ...] = ()
    squeezed: bool = False


NETWORKS = {
    "sknet50": Description(27_479_784, attention=(32, 32, 32, 64)),
    "sknet101": Description(48_686_760, (3, 4, 23, 3), (32, 16, 32, 64)),
    "resnext50": Description(25_028_904),
    "senet50": Description(27_559_896, squeezed=True),
}
TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def conv_bn(inputs: int, outputs: int, kernel: int, **options: int) -> nn.Sequential:
    """Convolution without bias, and batch norm."""
    dilation = options.get("dilation", 1)
    return nn.Sequential(
        nn.Conv2d(
            inputs,
            outputs,
            kernel,
            padding=dilation * (kernel - 1) // 2,
            bias=False,
            **options,
        ),
        nn.BatchNorm2d(outputs, momentum=0.05),
    )


class GroupedConvolution(nn.Module):
    """ResNeXt's 3x3 convolution."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.conv = conv_bn(width, width, 3, stride=stride, groups=GROUPS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps N x width x H x W to N x width x H / stride x W / stride."""
        return F.relu(self.conv(x), inplace=True)


class SelectiveKernels(nn.Module):
    """An SK unit of two 3x3 branches."""

    def __init__(self, width: int, stride: int, attention: int) -> None:
        super().__init__()
        branch = {"stride": stride, "groups": GROUPS}
        self.plain = conv_bn(width, width, 3, **branch)
        self.dilated = conv_bn(width, width, 3, dilation=2, **branch)
        self.fc1 = conv_bn(width, attention, 1)
        self.fc2 = nn.Conv2d(attention, 2 * width, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps N x width x H x W to N x width x H / stride x W / stride."""
        a = F.relu(self.plain(x), inplace=True)
        b = F.relu(self.dilated(x), inplace=True)
        pooled = (a + b).mean((2, 3), keepdim=True)
        scores = self.fc2(F.relu(self.fc1(pooled), inplace=True))
        weights = scores.view(x.shape[0], 2, -1, 1, 1).softmax(1)
        return a * weights[:, 0] + b * weights[:, 1]


class SqueezeAndExcitation(nn.Module):
    """A weight for each channel, from the means of all."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, channels // 16, 1)
        self.up = nn.Conv2d(channels // 16, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scales the channels of N x C x H x W."""
        squeezed = F.relu(self.down(x.mean((2, 3), keepdim=True)), inplace=True)
        return x * torch.sigmoid(self.up(squeezed))


class Block(nn.Module):
    """Bottleneck, around whose middle is a shortcut."""

    def __init__(
        self,
        inputs: int,
        width: int,
        stride: int,
        *,
        attention: int,
        squeezed: bool,
        project: bool,
    ) -> None:
        super().__init__()
        self.reduce = conv_bn(inputs, width, 1)
        self.middle = (
            SelectiveKernels(width, stride, attention)
            if attention
            else GroupedConvolution(width, stride)
        )
        self.increase = conv_bn(width, 2 * width, 1)
        self.gate = SqueezeAndExcitation(2 * width) if squeezed else nn.Identity()
        self.project = (
            conv_bn(inputs, 2 * width, 1, stride=stride) if project else nn.Identity()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps N x inputs x H x W to N x 2 width x H / stride x W / stride."""
        reduced = F.relu(self.reduce(x), inplace=True)
        increased = self.gate(self.increase(self.middle(reduced)))
        return F.relu(increased + self.project(x), inplace=True)


class Network(nn.Module):
    """A classifier of 1000 classes; see NETWORKS."""

    def __init__(self, name: str) -> None:
        super().__init__()
        described = NETWORKS[name]
        self.stem = conv_bn(3, 64, 7, stride=2)
        blocks = []
        inputs = 64
        attention = described.attention or (0, 0, 0, 0)
        stages = zip(described.depths, WIDTHS, attention, strict=True)
        for stage, (depth, width, hidden) in enumerate(stages):
            for index in range(depth):
                block = Block(
                    inputs,
                    width,
                    stride=2 if stage and not index else 1,
                    attention=hidden,
                    squeezed=described.squeezed,
                    project=not index,
                )
                blocks.append(block)
                inputs = 2 * width
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(inputs, 1000)
        learned = sum(p.numel() for p in self.parameters())
        if learned != described.learned:
            raise ValueError(
                f"{name}: {learned} parameters, expected {described.learned}"
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores."""
        x = F.relu(self.stem(x), inplace=True)
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        return self.classifier(self.blocks(x).mean((2, 3)))


def precision_of(job: dict[str, Any]) -> str:
    """The precision's name; `peers.py` asks whether it is bfloat16."""
    named: str = job.get("precision", "bf16" if job.get("bf16") else "float32")
    return named


def steps_of(job: dict[str, Any]) -> Callable[[], object]:
    """A function that does one inference or one training step.

    On a GPU the images are there already; an inference ends when the scores are on the
    host. 16 bits are all of the net's in inference there, and elsewhere autocast's.
    """
    device = "cuda" if job.get("gpu", False) else "cpu"
    batch, precision = job["batch"], precision_of(job)
    tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    kind = TYPES.get(precision)
    torch.manual_seed(1)
    layout = torch.channels_last if job["channels_last"] else torch.contiguous_format
    net = Network(job.get("network", "sknet50")).to(device, memory_format=layout)
    images = torch.randn(batch, 3, 224, 224, device=device).to(memory_format=layout)
    infers = job["task"] == "inference"
    if infers:
        net.eval()
    if infers and kind and device == "cuda":
        net, images, kind = net.to(kind), images.to(kind), None
    autocast = torch.autocast(device, dtype=kind, enabled=kind is not None)
    model = net
    if mode := job.get("compile"):
        model = torch.compile(net, mode=None if mode == "default" else mode)
    if infers:

        def infer() -> None:
            with torch.inference_mode(), autocast:
                model(images).float().softmax(1).cpu()

        return infer

    labels = torch.randint(1000, (batch,), device=device)
    optimizer = torch.optim.SGD(
        net.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4
    )
    # Passes everything through unless the type is float16.
    scaler = torch.amp.GradScaler(device, enabled=precision == "fp16")

    def train() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast:
            loss = F.cross_entropy(model(images), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return train


def peak_mb() -> float:
    """The most GPU memory that PyTorch had in use."""
    return torch.cuda.max_memory_allocated() / 2**20


def main() -> None:
    """Runs the job and prints its result."""
    job = measurement.job()
    if not job.get("gpu", False):
        torch.set_num_threads(job["threads"])
        measurement.measure(job, steps_of(job), torch.__version__)
        return
    step = steps_of(job)
    measurement.measure_blocks(
        job, step, torch.__version__, torch.cuda.synchronize, peak_mb
    )


if __name__ == "__main__":
    main()
