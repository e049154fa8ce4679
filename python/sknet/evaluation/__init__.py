"""How good a trained net is: protocols, the net made ready for them, and the counts."""

from sknet.evaluation.evaluate import Evaluation, check, evaluate
from sknet.evaluation.images import ImageSource, open_source
from sknet.evaluation.network import (
    Definition,
    Network,
    WeightsReport,
    load_network,
    read_definition,
)
from sknet.evaluation.protocol import Preprocessing, Protocol, protocol_for
from sknet.evaluation.scores import Scores, wilson_interval

__all__ = [
    "Definition",
    "Evaluation",
    "ImageSource",
    "Network",
    "Preprocessing",
    "Protocol",
    "Scores",
    "WeightsReport",
    "check",
    "evaluate",
    "load_network",
    "open_source",
    "protocol_for",
    "read_definition",
    "wilson_interval",
]
