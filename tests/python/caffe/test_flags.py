"""Command lines in gflags' spelling."""

from __future__ import annotations

import pytest

from caffe.cli.flags import Flag, UsageError, describe, parse

FLAGS = (
    Flag("solver", "", "A file."),
    Flag("iterations", 50, "A number."),
    Flag("rate", 0.5, "A factor."),
    Flag("shuffle", False, "A switch."),
    Flag("encoded", True, "A switch that is on."),
    Flag("effect", "stop", "One of three.", ("stop", "snapshot", "none")),
    Flag("notes", "", "Begins like a negation."),
)


def values(*arguments):
    return parse(arguments, FLAGS)[0]


@pytest.mark.parametrize(
    "spelling",
    [("-solver", "f"), ("--solver", "f"), ("-solver=f",), ("--solver=f",)],
)
def test_four_spellings_of_a_value(spelling):
    assert values(*spelling).solver == "f"


def test_types_and_defaults():
    flags = values("-iterations", "-3", "--rate=1e-2")
    assert (flags.iterations, flags.rate, flags.solver) == (-3, 0.01, "")
    assert flags.given == {"iterations", "rate"}


@pytest.mark.parametrize(
    ("argument", "shuffle", "encoded"),
    [
        ("-shuffle", True, True),
        ("--shuffle=true", True, True),
        ("--shuffle=0", False, True),
        ("-noencoded", False, False),
        ("--encoded=No", False, False),
    ],
)
def test_switches(argument, shuffle, encoded):
    flags = values(argument)
    assert (flags.shuffle, flags.encoded) == (shuffle, encoded)


def test_switches_do_not_take_the_next_argument():
    flags, words, _ = parse(["-shuffle", "root/", "list.txt"], FLAGS)
    assert flags.shuffle
    assert words == ["root/", "list.txt"]


def test_flags_and_words_mix_until_two_dashes():
    arguments = ["train", "--solver", "a=b", "-", "--", "-solver", "c"]
    flags, words, rest = parse(arguments, FLAGS)
    assert flags.solver == "a=b"
    assert words == ["train", "-"]
    assert rest == ["-solver", "c"]


def test_the_last_one_counts_and_names_may_begin_with_no():
    assert values("-solver=a", "-solver=b", "-notes", "x").solver == "b"
    assert values("-notes", "x").notes == "x"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-solvre=x"], "unknown flag '-solvre'; the closest is '-solver'"),
        (["--qqqqqq"], "unknown flag '--qqqqqq'$"),
        (["-solver"], "flag -solver needs a value"),
        (["-iterations=many"], "-iterations: got 'many', expected a whole number"),
        (["-rate", "x"], "-rate: got 'x', expected a number"),
        (["-shuffle=maybe"], "-shuffle: got 'maybe', expected true or false"),
        (["-noshuffle=1"], "flag -noshuffle takes no value"),
        (["-nosolver"], "unknown flag '-nosolver'"),
        (["-effect=go"], "-effect: got 'go', expected stop or snapshot or none"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(UsageError, match=message):
        parse(arguments, FLAGS)


def test_help_names_values_and_defaults():
    text = describe(FLAGS)
    assert "-iterations N\n      A number. (default 50)" in text
    assert "-effect stop|snapshot|none" in text
    assert "-solver TEXT\n      A file.\n" in text
