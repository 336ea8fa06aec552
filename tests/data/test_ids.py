"""An example's id: the same on the hub and in any mirror, different for different rows."""

import hashlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cme.data.load import load_examples, normalise_all
from cme.data.sources import open_source
from cme.stats import clustered_stderr
from cme.suite import dataset, datasets
from tests.hub_rows import HAND_ROWS, ROW
from tests.hub_rows.paraphrase import qqp_row
from tests.hub_rows.science import arc_row

EACH = pytest.mark.parametrize("name", sorted(datasets("all")))


def ids(rows, name):
    return [example.id for example in normalise_all(rows, dataset(name)).examples]


def test_the_recipe_by_hand():
    # SHA-256 of the compact JSON of dataset and key columns, "#" and the number of earlier rows with the same key.
    text = '["qqp","Wie groß?","How tall?"]#0'
    expected = hashlib.sha256(text.encode()).hexdigest()[:32]
    assert ids([qqp_row(question1="Wie groß?", question2="How tall?")], "qqp") == [expected]


def test_the_recipe_reaches_into_structs():
    row = arc_row()
    key = json.dumps(["arc", row["question"], row["choices"]["text"]], separators=(",", ":"))
    assert ids([row], "arc") == [hashlib.sha256(f"{key}#0".encode()).hexdigest()[:32]]


def test_repeated_rows_are_numbered():
    # The label is no part of the key: conflicting copies are copies.
    found = ids([qqp_row(0), qqp_row(1), qqp_row(0, label=1), qqp_row(0)], "qqp")
    assert len(set(found)) == 4
    assert found[0] == ids([qqp_row(0)], "qqp")[0]
    assert found[2:] == ids([qqp_row(0), qqp_row(0), qqp_row(0)], "qqp")[1:]


def test_repeated_rows_are_one_cluster():
    rows = [qqp_row(0), qqp_row(1), qqp_row(0, label=1), qqp_row(0)]
    examples = normalise_all(rows, dataset("qqp")).examples
    first, other = examples[0].id, examples[1].id
    assert [example.cluster for example in examples] == [first, other, first, first]
    assert len({example.id for example in examples}) == 4
    # Three equal scores out of four are two independent observations, not four.
    scores = [1.0, 0.0, 1.0, 1.0]
    found = clustered_stderr(scores, [example.cluster for example in examples])
    assert found == pytest.approx((2 * 2 * (3 * 0.25) ** 2) ** 0.5 / 4)
    assert found > clustered_stderr(scores, [example.id for example in examples])


def test_repeated_rows_are_one_cluster_in_every_shard(make_mirror):
    rows = [qqp_row(0), qqp_row(1), qqp_row(0)]
    mirror = make_mirror({f"qqp/validation-{k:05}-of-00003": [row] for k, row in enumerate(rows)})
    examples = load_examples(dataset("qqp"), "eval", open_source(str(mirror))).examples
    assert len({example.id for example in examples}) == 3
    assert [example.cluster for example in examples] == [examples[0].id, examples[1].id, examples[0].id]


def test_a_shared_text_remains_the_cluster_of_repeated_rows():
    rows = [ROW["rte"](0), ROW["rte"](0)]
    first, second = normalise_all(rows, dataset("rte")).examples
    assert first.id != second.id and first.cluster == second.cluster and len(first.cluster) == 16


def test_a_dropped_copy_takes_no_number():
    assert ids([qqp_row(0, label=-1), qqp_row(0)], "qqp") == ids([qqp_row(0)], "qqp")


def test_one_text_in_two_datasets_has_two_ids():
    rows = {"premise": "A?", "hypothesis": "B?", "question1": "A?", "question2": "B?", "label": 0}
    assert ids([rows], "anli") != ids([rows], "qqp")


@EACH
def test_columns_outside_of_the_key_do_not_count(name):
    spec, row = dataset(name), ROW[name](3)
    roots = {column.split(".")[0] for column in spec.key}
    optional = [column for column in row if column not in spec.columns]
    assert ids([row | dict.fromkeys(optional)], name) == ids([row], name)
    assert ids([{column: value for column, value in row.items() if column not in optional}], name) == ids([row], name)
    assert roots <= set(row)


@EACH
def test_every_key_column_counts(name):
    rows = [ROW[name](k) for k in range(20)]
    assert len(set(ids(rows, name))) == 20


@EACH
def test_sharding_does_not_count(name, hand_mirror, make_mirror):
    spec = dataset(name)
    sharded = make_mirror({})
    for subset in spec.subsets:
        table = pq.read_table(hand_mirror / subset.folder / f"{subset.eval}.parquet")
        (sharded / subset.folder).mkdir(exist_ok=True)
        for number, (start, stop) in enumerate([(0, 1), (1, 4), (4, 10)]):
            # Small row groups: how a file is laid out inside does not count either.
            file = sharded / subset.folder / f"{subset.eval}-{number:05}-of-00003.parquet"
            pq.write_table(table.slice(start, stop - start), file, row_group_size=2, compression="none")
    one, many = (load_examples(spec, "eval", open_source(str(folder))).examples for folder in (hand_mirror, sharded))
    assert one == many and len(one) == 10 * len(spec.subsets)


def test_nullable_and_large_columns_do_not_count(make_mirror):
    rows = [qqp_row(k) for k in range(4)]
    wide = pa.schema(
        [("question1", pa.large_string()), ("question2", pa.large_string()), ("label", pa.int8()), ("idx", pa.null())]
    )
    tables = {
        "plain": pa.Table.from_pylist(rows),
        "wide": pa.Table.from_pylist([r | {"idx": None} for r in rows], schema=wide),
    }
    found = [
        load_examples(dataset("qqp"), "eval", open_source(str(make_mirror({"qqp/validation": table}, name)))).examples
        for name, table in tables.items()
    ]
    assert found[0] == found[1]


def test_no_two_real_rows_share_an_id(real_data):
    source, seen, count = open_source(str(real_data)), set(), 0
    for spec in datasets().values():
        for kind in ("train", "eval"):
            # One row may stand in a training and in an evaluation split; that is for the gate of the mix.
            found = [(kind, example.id) for example in load_examples(spec, kind, source, allow_missing=True).examples]
            seen.update(found)
            count += len(found)
    assert count > 14000
    assert len(seen) == count


def test_ids_are_32_hex_digits_and_clusters_are_ids_or_shorter():
    for name, row in ROW.items():
        (example,) = normalise_all([row(3)], dataset(name)).examples
        assert len(example.id) == 32 and set(example.id) <= set("0123456789abcdef")
        # WinoGrande's twins share their options in either order, which no column says.
        assert len(example.cluster) == (16 if dataset(name).cluster or name == "winogrande" else 32)


def test_the_hand_rows_are_different_rows():
    # Else the tests above would show less than they say.
    assert {name: len(ids(list(rows), name)) for name, rows in [("qqp", HAND_ROWS["qqp/train"])]} == {"qqp": 10}
