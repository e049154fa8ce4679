"""The tables of the paper against totals counted by other code."""

from __future__ import annotations

import json

import pytest
import sknet_reference as reference

from sknet.models import create_model
from sknet.paper import tables

# Names of rows whose reference has another name.
REFERENCE = {
    "InceptionV3": "InceptionV3+aux",
    "SKNet-101": "SKNet-101-file",
}
# Conventions in terms of the reference's columns, per image.
CONVENTIONS = {
    "macs": {},
    "macs+bn": {"bn_elems": 1},
    "macs+2bn": {"bn_elems": 2},
    "macs+select": {"sel_elems": 1},
    "all": {"bias_adds": 1, "bn_elems": 2, "relu_elems": 1, "pool_input_elems": 1},
}


@pytest.fixture(scope="module")
def rows():
    return {row["model"]: row for row in tables.table_2()}


@pytest.fixture(scope="module")
def totals():
    return {row["model"]: row for row in reference.rows("table2_totals.csv")}


def test_table_2_has_the_rows_of_the_paper(rows):
    assert len(rows) == 17
    assert list(next(iter(rows.values()))) == [
        "model",
        "paper_params_m",
        "learned_params",
        "stored_params",
        "paper_gflops",
        "macs",
        "gflops",
        "convention",
        "params_reproduced",
        "gflops_reproduced",
        "paper_top1_error_224",
        "paper_top1_error_320",
        "note",
        "measured_top1_error_224",
        "measured_top1_error_320",
    ]


def test_table_2_has_the_totals_of_the_reference(rows, totals):
    for name, row in rows.items():
        wanted = totals[REFERENCE.get(name, name.replace(" + ", "+"))]
        assert row["learned_params"] == int(wanted["learned_params"]), name
        assert row["stored_params"] == int(wanted["stored_params"]), name
        assert row["macs"] == int(wanted["conv_fc_macs"]), name
        operations = row["macs"] + sum(
            factor * int(wanted[column])
            for column, factor in CONVENTIONS[row["convention"]].items()
        )
        # Inception-V4's classifier pooling is not in the reference: 10^5 of 10^10.
        assert row["gflops"] == pytest.approx(operations / 1e9, rel=1e-5), name


def test_table_2_says_what_does_not_reproduce(rows):
    def missed(key):
        return {name for name, row in rows.items() if not row[key]}

    assert missed("params_reproduced") == {
        "AttentionNeXt-56",
        "Attention-92",
        "InceptionV4",
        "Inception-ResNetV2",
        "SENet-50",
        "SENet-101",
        "ResNeXt-50 + CBAM",
        "ResNeXt-101 + CBAM",
    }
    assert missed("gflops_reproduced") == {"AttentionNeXt-56", "Attention-92"}
    for name in missed("params_reproduced") | missed("gflops_reproduced"):
        assert rows[name]["note"], name


@pytest.mark.parametrize(("number", "count"), [(3, 5), (5, 5), (6, 5), (7, 11)])
def test_every_row_of_the_other_tables_reproduces(number, count):
    printed = tables.table_rows(number)
    assert len(printed) == count
    for row in printed:
        assert row["params_reproduced"], row["model"]
        assert row["gflops_reproduced"] is (None if number == 5 else True)


def test_rows_are_found_by_model_and_by_net():
    for name in ("sknet50", "sknet50_basic"):
        row = tables.paper_row(name)
        assert row is not None
        assert row.errors == {"224": 20.79, "320": 19.32}
    assert tables.paper_row("sknet_digits") is None
    assert len({create_model(row.model).name for row in tables.TABLE_2}) == 17


def record(net, crop, error, crops=1):
    return {
        "net": net,
        "protocol": {"crop": crop, "crops": crops},
        "top1": {"error_percent": error},
    }


def test_results_find_their_rows(tmp_path):
    one, many = tmp_path / "one.json", tmp_path / "many.json"
    one.write_text(json.dumps(record("sknet50_basic", 224, 20.5)))
    many.write_text(
        json.dumps(
            [
                record("sknet50_basic", 320, 19.5),
                record("sknet50", 224, 18.0, crops=10),
                record("SE-ResNeXt-50 (32 x 4d)", 224, 21.25),
                record("inception_v3_aux", 299, 22.0),
            ]
        )
    )
    many_more = {**record("sknet26", 224, 23.0), "learned_params": 16_000_000}
    other = tmp_path / "other.json"
    other.write_text(json.dumps(many_more))
    measured = tables.read_measured([one, many, other])
    assert [(m.net, m.learned_params) for m in measured if m.row is None] == [
        ("sknet26", 16_000_000)
    ]
    errors = tables.measured_errors(measured)
    assert errors == {
        "SKNet-50": {"224": 20.5, "320": 19.5},
        "SENet-50": {"224": 21.25},
    }
    (row,) = (row for row in tables.table_2(errors) if row["model"] == "SKNet-50")
    measured = [row[f"measured_top1_error_{crop}"] for crop in (224, 320)]
    assert measured == [20.5, 19.5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected results of `sknet evaluate --json`"),
        ("3", "expected results"),
        ('{"net": "sknet50"}', "a record has no 'protocol'"),
        (
            json.dumps({**record("lenet", 224, 1.0), "learned_params": "many"}),
            "learned_params 'many'",
        ),
        (json.dumps(record("sknet50", 224, 120.0)), "error 120.0 %"),
        (json.dumps(record("sknet50", None, 12.0)), "expected results"),
        ("[" * 100_000, "expected results"),
        ("\xff\xfe", "no text in UTF-8"),
    ],
)
def test_other_files_are_refused_in_one_sentence(content, message, tmp_path):
    path = tmp_path / "results.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=r"results\.json\W") as raised:
        tables.read_measured([path])
    assert message in str(raised.value)
