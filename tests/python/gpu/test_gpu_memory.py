"""What a full GPU says."""

from __future__ import annotations

import re

import nets
from emulated_gpus import needed, run, sentence_of
from google.protobuf import text_format

pytestmark = needed

# nets.convolutional() has 6 kB of data, 32 kB behind each convolution, weights of 2 kB
# and 9 kB: the data of conv2 is too much.
MEMORY = 75_000


def test_a_full_gpu_names_the_blob_and_the_largest_holders(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(text_format.MessageToString(nets.convolutional()))
    done = run(
        *("caffe", "time", "-model", path, "-gpu", 0),
        cwd=tmp_path,
        CUDA_EMULATION_MEMORY=MEMORY,
    )
    sentence = sentence_of(done)
    assert sentence.startswith(
        "layer 'conv2' (Convolution): GPU 0 has no memory for 32768 bytes more: "
    )
    assert "of 75000 are free" in sentence
    assert "smaller batch" in sentence
    assert "for the data of blob 'conv2'" in sentence
    held = sentence.partition("most is held by ")[2]
    *largest, last = re.findall(r"the (.+?) \((\d+) bytes\)", held)
    assert largest == [
        ("data of blob 'conv1'", "32768"),
        ("data of parameter 0 of layer 'conv2'", "9216"),
        ("data of blob 'data'", "6144"),
        ("data of parameter 0 of layer 'conv1'", "2048"),
    ]
    # Two biases are as large, and either may be the one.
    assert last[1] == "512"
