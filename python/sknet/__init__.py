"""Selective Kernel Networks (CVPR 2019, https://arxiv.org/abs/1903.06586) for Caffe.

| here | what |
|---|---|
| `models` | definitions and solvers of the networks; needs no compiled code |
| `complexity` | their parameters, arithmetic and memory |
| `data` | databases of images and their classes, augmentation |
| `training` | a run's folder, log and curves |
| `evaluation`, `attention` | what a trained net knows, and where it looks |
| `convert` | weights and nets of PyTorch, ONNX and other Caffes |
| `paper` | tables, figures and cards |
| `cli` | the `sknet` command |
"""

__version__ = "0.1.0"
