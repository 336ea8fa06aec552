"""Drift and change of the loss on a board: means over runs, what verification refuses, tables and page."""

import csv
import hashlib
import io
import math

import numpy as np
import pytest

import cme
from cme.errors import CMEError
from cme.leaderboard import audit, load_entries, load_paper, make_entry, render
from cme.leaderboard.entries.retention import retention_of
from cme.leaderboard.rendering.page.data import page_data
from cme.records import Drift, LossChange, Retention
from tests.leaderboard.pages import page_of, standing_of, tables
from tests.leaderboard.tampering import NAMES, edit, refusal
from tests.leaderboard.workshop import BASE_FINGERPRINT, make_samples

TEXTS = ((0.2, 0.1, 0.3, 0.2), (0.4, 0.3, 0.5, 0.4))
"""Divergence of four texts in two runs."""


def stderr(values):
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def retention(texts, adapted=(2.0, 2.5), *, loss=True, text="wiki", own="a" * 64):
    """A consistent retention; the base's loss is 2 in every window."""
    changes = [value - 2.0 for value in adapted]
    change = LossChange(
        value=float(np.mean(changes)),
        stderr=stderr(changes),
        text=text,
        text_sha256="d" * 64,
        tokens=255,
        base=(2.0,) * len(adapted),
        adapted=tuple(adapted),
    )
    drift = Drift(value=float(np.mean(texts)), stderr=stderr(texts), tokens=128, texts=tuple(texts), texts_sha256=own)
    remark = "" if loss else "no unrelated text: the source mini has none"
    return Retention(base_fingerprint=BASE_FINGERPRINT, drift=drift, loss=change if loss else None, remark=remark)


def add(workshop, name, of_runs, method="lora"):
    """Submit a row whose runs have these retentions."""
    results, runs = [], []
    for seed, item in enumerate(of_runs):
        adapter = hashlib.sha256(f"{name} {seed}".encode()).hexdigest()
        samples = make_samples(0.6, f"{name}-{seed}", names=NAMES)
        results.append(workshop.result(f"{name}-{seed}", samples, adapter=adapter, retention=item))
        runs.append(workshop.run(f"{name}-{seed}", method, adapter=adapter, seed=seed))
    return make_entry(results, runs, workshop.entries, name=name)


@pytest.fixture
def board(workshop):
    workshop.reference("base", 0.4, names=NAMES)
    add(workshop, "lora", [retention(TEXTS[0]), retention(TEXTS[1], (3.0, 3.5))])
    add(workshop, "blind", [retention(TEXTS[0], loss=False), retention(TEXTS[0], loss=False)], "moelora")
    add(workshop, "without", [None, retention(TEXTS[0])], "teamlora")
    return workshop


def entry_of(board, name):
    return next(entry for entry in load_entries(board.entries) if entry.name == name)


def test_means_over_runs_by_hand(board):
    own = retention_of(entry_of(board, "lora"))
    assert own.drift.value == pytest.approx(0.3)
    # Texts: the means over the runs spread as one run does. Seeds: 0.2 and 0.4, variance 0.02 / 2.
    assert own.drift.stderr == pytest.approx(math.sqrt(stderr(TEXTS[0]) ** 2 + 0.01))
    # Changes 0, 0.5 and 1, 1.5: means 0.25 and 1.25.
    assert own.loss.value == pytest.approx(0.75)
    assert own.loss.stderr == pytest.approx(math.sqrt(stderr([0.5, 1.0]) ** 2 + 0.25))
    assert own.text == f"wiki ({'d' * 12})" and own.remark == ""


def test_other_texts_per_run_are_independent_and_their_losses_are_not_averaged(workshop):
    entry = add(workshop, "lora", [retention(TEXTS[0]), retention(TEXTS[1], text="other", own="e" * 64)])
    own = retention_of(entry)
    assert own.loss is None and "different texts" in own.remark
    assert own.drift.stderr == pytest.approx(math.sqrt(2 * stderr(TEXTS[0]) ** 2 / 4 + 0.01))


def test_only_complete_rows_have_one(board):
    assert retention_of(entry_of(board, "without")) is None and retention_of(entry_of(board, "base")) is None
    blind = retention_of(entry_of(board, "blind"))
    assert blind.loss is None and blind.remark == "no unrelated text: the source mini has none"


def test_tables_csv_and_page_show_them(board):
    page = page_of(board)
    header, *rows = tables(page)[0]
    cells = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    assert cells["lora"]["drift"].startswith("0.3000 ± 0.10") and cells["lora"]["Δ loss"].startswith("+0.7500 ± 0.5")
    assert cells["blind"]["drift"].startswith("0.2000 ± 0.04") and cells["blind"]["Δ loss"] == "–"
    assert cells["without"]["drift"] == cells["base"]["drift"] == "–"
    assert "Δ loss was not measured for blind: no unrelated text: the source mini has none." in page
    assert "Δ loss was measured on wiki (dddddddddddd)." in page
    standing = standing_of(board)
    (line,) = [
        row
        for row in csv.DictReader(io.StringIO(render(standing, load_paper())["leaderboard.csv"]))
        if row["name"] == "lora"
    ]
    assert float(line["drift"]) == pytest.approx(0.3) and float(line["loss_change"]) == pytest.approx(0.75)
    rows = {row["name"]: row for row in page_data(standing)["rows"]}
    assert rows["lora"]["drift"][0] == pytest.approx(0.3) and rows["without"]["drift"] is None
    frame = cme.load_board(board.entries).to_frame().set_index("name")
    assert frame.loc["lora", "drift"] == pytest.approx(0.3) and frame.loc[["without"], "drift"].isna().all()
    assert frame.loc["lora", "loss_change_stderr"] == pytest.approx(math.sqrt(stderr([0.5, 1.0]) ** 2 + 0.25))


def test_a_note_groups_the_rows_by_the_texts_of_their_drift(board):
    """The base writes other texts with another data type, so the drifts of different groups have other texts."""
    note = "Drifts are comparable between rows with the same texts only."
    assert note not in page_of(board) and not any(note in text for text in page_data(standing_of(board))["notes"])
    add(board, "double", [retention(TEXTS[0], own="e" * 64)], "dora")
    add(board, "mixed", [retention(TEXTS[0], own=own * 64) for own in "ea"], "hira")
    (sentence,) = [text for text in page_data(standing_of(board))["notes"] if note in text]
    groups = dict(group.split(": ") for group in sentence.partition(f"{note} ")[2].removesuffix(".").split("; "))
    a, e = "a" * 12, "e" * 12
    assert {texts: set(names.split(", ")) for texts, names in groups.items()} == {
        a: {"lora", "blind"},
        e: {"double"},
        f"{a}, {e}": {"mixed"},
    }
    assert sentence in page_of(board)
    frame = cme.load_board(board.entries).to_frame().set_index("name")["drift_texts"]
    assert (
        frame[["lora", "double", "mixed"]].tolist() == [a, e, f"{a}, {e}"] and frame[["base", "without"]].isna().all()
    )


def test_the_change_of_the_loss_has_no_column_if_no_row_has_one(board):
    (board.entries / "lora.json").unlink()
    header = tables(page_of(board))[0][0]
    assert "drift" in header and "Δ loss" not in header


def test_boards_without_retention_have_no_columns(small):
    header = tables(page_of(small))[0][0]
    assert "drift" not in header and "Δ loss" not in header and "Drift" not in page_of(small)


def test_it_verifies(board):
    assert all(verdict.ok for verdict in audit(board.entries))


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("drift", "value"), 0.25, r"drift.value is 0.25, recomputed 0.2"),
        (("drift", "stderr"), 0.0, "drift.stderr is 0, recomputed 0.04"),
        (("drift", "texts"), [0.2], "drift has 1 texts, but at least 2 are needed"),
        (("drift", "texts"), [0.2, 0.2, -0.1, 0.5], "retention: drift: texts: item 3: must be at least 0, found -0.1"),
        (("loss", "value"), -1.0, "loss.value is -1, recomputed 0.25"),
        (("loss", "base"), [2.0], "the loss has 1 windows of the base and 2 of the adapted model"),
        (("base_fingerprint",), "c" * 64, "it was measured against another base ('cccccccccccc')"),
    ],
)
def test_numbers_that_do_not_follow_are_refused(board, path, value, says):
    def change(values):
        part = values["runs"][0]["retention"]
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = value

    edit(board, change)
    assert says in refusal(board)


def test_a_base_and_lm_evals_logs_have_none(board):
    given = entry_of(board, "lora").plain()["runs"][0]["retention"]

    def on_base(values):
        values["runs"][0]["retention"] = given

    def from_logs(values):
        values["runs"][0]["provenance"]["evaluation"]["origin"] = "lm-eval"

    edit(board, on_base, "base")
    edit(board, from_logs)
    message = refusal(board)
    assert "retention: the row is not trained, so it has none" in message
    assert "retention: lm-eval's logs do not contain it" in message


def test_a_wrong_result_is_not_submitted(workshop):
    wrong = retention(TEXTS[0])
    wrong = wrong.replace(drift=wrong.drift.replace(value=0.01))
    with pytest.raises(CMEError, match=r"drift.value is 0.01, recomputed 0.2"):
        add(workshop, "lora", [wrong])
