"""Selective Kernel Networks (CVPR 2019, https://arxiv.org/abs/1903.06586) for Caffe.

`sknet.models` writes network and solver definitions and `sknet.complexity` counts their
parameters and arithmetic; neither needs compiled code. The `sknet` command is
`sknet.cli`.
"""

__version__ = "0.1.0"
