"""The ways in which TensorBoard reads a folder: steps and values of every tag."""

from __future__ import annotations

import subprocess

from tensorboard import context
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import (
    EventMultiplexer,
)
from tensorboard.data import grpc_provider
from tensorboard.data.server_ingester import _make_stub, get_server_binary
from tensorboard.util import grpc_util

_ALL = 1 << 20


def accumulator(folder):
    """As scripts read it."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()["scalars"]
    return {tag: _curve(events.Scalars(tag)) for tag in tags}


def multiplexer(folder):
    """As `tensorboard --load_fast=false --purge_orphaned_data=false` does."""
    events = EventMultiplexer(
        tensor_size_guidance={"scalars": 0}, purge_orphaned_data=False
    )
    events.AddRun(str(folder), ".")
    events.Reload()
    return _provided(MultiplexerDataProvider(events, str(folder)))


def data_server(folder):
    """As `tensorboard` does unless it is told otherwise."""
    port_file = folder / "port_of_the_data_server"
    with subprocess.Popen(
        [
            *(get_server_binary().path, f"--logdir={folder}", "--reload=once"),
            *("--port=0", f"--port-file={port_file}", "--die-after-stdin", "-v"),
            "--samples-per-plugin=scalars=all",
        ],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        for line in server.stderr:
            if "Finished load cycle" in line:
                break
        address = f"localhost:{int(port_file.read_text())}"
        port_file.unlink()
        stub = _make_stub(address, grpc_util.ChannelCredsType.LOCAL)
        curves = _provided(grpc_provider.GrpcDataProvider(address, stub))
        server.stdin.close()
        server.stderr.read()
    return curves


READERS = (accumulator, multiplexer, data_server)


def _provided(provider):
    runs = provider.read_scalars(
        context.RequestContext(),
        experiment_id="",
        plugin_name="scalars",
        downsample=_ALL,
    )
    assert runs.keys() <= {"."}
    return {tag: _curve(points) for tag, points in runs.get(".", {}).items()}


def _curve(points):
    found = {point.step: point.value for point in points}
    assert len(found) == len(points)
    return found
