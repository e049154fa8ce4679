"""How good a trained net is: protocols, the net made ready for them, and the counts.

What `sknet evaluate --json` writes is

    record_of(evaluate(*set_up("sknet50", "sknet50.caffemodel", "val_lmdb")))
"""

from sknet.evaluation.evaluate import Evaluation, check, evaluate
from sknet.evaluation.images import ImageSource, open_source
from sknet.evaluation.network import (
    Definition,
    Network,
    load_network,
    misfits,
    read_definition,
)
from sknet.evaluation.protocol import Preprocessing, Protocol, protocol_for
from sknet.evaluation.record import record_of
from sknet.evaluation.scores import Scores, wilson_interval
from sknet.evaluation.setting import Setting, set_up

__all__ = [
    "Definition",
    "Evaluation",
    "ImageSource",
    "Network",
    "Preprocessing",
    "Protocol",
    "Scores",
    "Setting",
    "check",
    "evaluate",
    "load_network",
    "misfits",
    "open_source",
    "protocol_for",
    "read_definition",
    "record_of",
    "set_up",
    "wilson_interval",
]
