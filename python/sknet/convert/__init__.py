"""Weights and nets of other Caffes, of PyTorch and of ONNX."""

# Of batch norms, see `batch_norms`, which takes longer to import.
FORMS = ("sknet", "bvlc", "nvidia", "intel", "intel2")
