"""SKNet-50 in PyTorch, as a peer to measure against.

Reads one job as JSON from its command line and prints the result as JSON; see
`peers.py`. Needs `pip install torch==2.13.0`; nothing of sknet-caffe.
"""

from __future__ import annotations

import measurement
import torch
from torch import nn
from torch.nn import functional as F

DEPTHS = (3, 4, 6, 3)
WIDTHS = (128, 256, 512, 1024)
GROUPS = 32
LEARNED_PARAMETERS = 27_479_784


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


class Block(nn.Module):
    """Bottleneck around a Selective Kernel unit of two 3x3 branches."""

    def __init__(self, inputs: int, width: int, stride: int, *, project: bool) -> None:
        super().__init__()
        attention = max(width // 16, 32)
        branch = {"stride": stride, "groups": GROUPS}
        self.reduce = conv_bn(inputs, width, 1)
        self.plain = conv_bn(width, width, 3, **branch)
        self.dilated = conv_bn(width, width, 3, dilation=2, **branch)
        self.fc1 = conv_bn(width, attention, 1)
        self.fc2 = nn.Conv2d(attention, 2 * width, 1, bias=False)
        self.increase = conv_bn(width, 2 * width, 1)
        self.project = (
            conv_bn(inputs, 2 * width, 1, stride=stride) if project else nn.Identity()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps N x inputs x H x W to N x 2 width x H / stride x W / stride."""
        reduced = F.relu(self.reduce(x), inplace=True)
        a = F.relu(self.plain(reduced), inplace=True)
        b = F.relu(self.dilated(reduced), inplace=True)
        pooled = (a + b).mean((2, 3), keepdim=True)
        scores = self.fc2(F.relu(self.fc1(pooled), inplace=True))
        weights = scores.view(x.shape[0], 2, -1, 1, 1).softmax(1)
        selected = a * weights[:, 0] + b * weights[:, 1]
        return F.relu(self.increase(selected) + self.project(x), inplace=True)


class SKNet50(nn.Module):
    """The network of the released sknet50.prototxt."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(3, 64, 7, stride=2)
        blocks = []
        inputs = 64
        for stage, (depth, width) in enumerate(zip(DEPTHS, WIDTHS, strict=True)):
            for index in range(depth):
                stride = 2 if stage and not index else 1
                blocks.append(Block(inputs, width, stride, project=not index))
                inputs = 2 * width
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(inputs, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores."""
        x = F.relu(self.stem(x), inplace=True)
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        return self.classifier(self.blocks(x).mean((2, 3)))


def steps_of(task: str, batch: int, channels_last: bool, bf16: bool):
    """A function that does one inference or one training step."""
    autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16)
    torch.manual_seed(1)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = SKNet50().to(memory_format=layout)
    learned = sum(p.numel() for p in model.parameters())
    if learned != LEARNED_PARAMETERS:
        raise ValueError(f"{learned} parameters, expected {LEARNED_PARAMETERS}")
    images = torch.randn(batch, 3, 224, 224).to(memory_format=layout)
    if task == "inference":
        model.eval()

        def infer() -> None:
            with torch.inference_mode(), autocast:
                model(images).softmax(1)

        return infer

    labels = torch.randint(1000, (batch,))
    optimizer = torch.optim.SGD(
        model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4
    )

    def train() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast:
            loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()

    return train


def main() -> None:
    """Runs the job and prints its result."""
    job = measurement.job()
    torch.set_num_threads(job["threads"])
    step = steps_of(job["task"], job["batch"], job["channels_last"], job["bf16"])
    measurement.measure(job, step, torch.__version__)


if __name__ == "__main__":
    main()
