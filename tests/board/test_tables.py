"""The tables of studies and bases: rows, order, and the files that are written."""

import csv
import io
import shutil

import pytest
from scipy.stats import spearmanr
from typer.testing import CliRunner

import cme
from cme.cli.main import app
from cme.errors import CMEError
from cme.leaderboard.ranking import comparison
from tests.board.fakes import write_board
from tests.leaderboard.workshop import Workshop

SKILLS = {"lora": 0.55, "moelora": 0.7, "team": 0.85}


def entries_of(root, target, skills, **settings):
    """Write entries with these skills into the folder of a table."""
    workshop = Workshop(root)
    for name, skill in skills.items():
        workshop.row(
            name, "lora" if "lora" in name else "teamlora", skill, seeds=(0, 1), names=("qqp", "rte"), **settings
        )
    shutil.copytree(workshop.root / "board", target, dirs_exist_ok=True)


@pytest.fixture
def board(tmp_path):
    path = write_board(
        tmp_path,
        base=f"[{tmp_path}/base, smollm2-135m]",
        methods="{lora: {}, moelora: {}, team: {settings: {method: teamlora}}}",
        studies="{ranks: {of: lora, vary: {rank: [4, 8, 16]}}}",
    )
    entries_of(tmp_path / "a", tmp_path / "out", SKILLS)
    entries_of(tmp_path / "b", tmp_path / "out" / "smollm2-135m", {"lora": 0.85, "moelora": 0.7, "team": 0.55})
    ranks = {"lora-ranks-4": 0.5, "lora-ranks-8": 0.65, "lora-ranks-16": 0.8}
    for prefix in ("", "smollm2-135m/"):
        entries_of(tmp_path / f"c{prefix}", tmp_path / "out" / f"{prefix}studies" / "ranks", ranks)
    return path


def test_the_order_on_two_bases(board, tmp_path):
    written = [path.relative_to(tmp_path / "out").as_posix() for path in cme.board_tables(board)]
    studies = [
        f"{prefix}studies/ranks/{file}"
        for prefix in ("", "smollm2-135m/")
        for file in ("study.md", "study.csv", "rates.csv")
    ]
    figures = [f"{prefix}studies/ranks/study.svg" for prefix in ("", "smollm2-135m/")]
    assert written == [*studies, "order.md", "order.csv", "order-pairs.csv", *figures]
    (row,) = csv.DictReader(io.StringIO((tmp_path / "out" / "order.csv").read_text()))
    assert (row["base"], row["other_base"], row["methods"]) == ("base", "smollm2-135m", "3")
    frames = [cme.load_board(tmp_path / "out" / name).to_frame().set_index("name") for name in (".", "smollm2-135m")]
    averages = [[frame.loc[name, "average"] for name in SKILLS] for frame in frames]
    expected = spearmanr(*averages).statistic
    assert float(row["rank_correlation"]) == pytest.approx(expected)
    text = (tmp_path / "out" / "order.md").read_text()
    assert "| team |" in text and f"| 3 | {expected:.2f} |" in text


def test_every_pair_of_methods_has_its_difference_on_both_bases(board, tmp_path):
    cme.board_tables(board)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "order-pairs.csv").read_text())))
    pairs = [("lora", "moelora"), ("lora", "team"), ("moelora", "team")]
    assert [(row["metric"], row["first"], row["second"]) for row in rows] == [
        (metric, *pair) for metric in ("average", "soft") for pair in pairs
    ]
    for prefix, folder in (("", "."), ("other_", "smollm2-135m")):
        frame = cme.load_board(tmp_path / "out" / folder).pairs()
        found = {(item.first, item.second): item for item in frame.itertuples()}
        for row in rows[:3]:
            pair = (row["first"], row["second"])
            sign, item = (1, found[pair]) if pair in found else (-1, found[pair[::-1]])
            assert float(row[f"{prefix}difference"]) == pytest.approx(sign * item.difference)
            low, high = sorted((sign * item.low, sign * item.high))
            assert (float(row[f"{prefix}low"]), float(row[f"{prefix}high"])) == pytest.approx((low, high))
            assert float(row[f"{prefix}p_adjusted"]) == pytest.approx(item.p_adjusted)
    decided = {(row["first"], row["second"]): row["same_order"] for row in rows[:3]}
    both = {pair for pair in pairs if all(row["significant"] for row in significant(tmp_path, pair))}
    assert {pair for pair, word in decided.items() if word == "no"} == both and "yes" not in decided.values()
    assert "| lora | team | CME average |" in (tmp_path / "out" / "order.md").read_text()


def significant(root, pair):
    """The rows of a pair on both bases, as records."""
    for folder in (".", "smollm2-135m"):
        frame = cme.load_board(root / "out" / folder).pairs()
        yield from frame[frame.apply(lambda row: {row["first"], row["second"]} == set(pair), axis=1)].to_dict("records")


def test_a_row_that_repeats_another_one_on_a_base_does_not_count_in_the_order(board, tmp_path, monkeypatch):
    found = iter([{"moelora": "lora"}])
    monkeypatch.setattr(comparison, "repeats", lambda entries: next(found, {}))
    cme.board_tables(board)
    (row,) = csv.DictReader(io.StringIO((tmp_path / "out" / "order.csv").read_text()))
    assert (row["methods"], float(row["rank_correlation"])) == ("2", -1.0)
    text = (tmp_path / "out" / "order.md").read_text()
    assert "| moelora |" in text and "| moelora | team |" not in text, "its scores are shown, and it is in no pair"


def test_a_study_has_a_table_and_a_figure(board, tmp_path):
    cme.board_tables(board)
    folder = tmp_path / "out" / "studies" / "ranks"
    rows = list(csv.DictReader(io.StringIO((folder / "study.csv").read_text())))
    assert [(row["name"], row["rank"], row["row"], row["seeds"]) for row in rows] == [
        (f"lora-ranks-{rank}", str(rank), "lora", "2") for rank in (4, 8, 16)
    ]
    frame = cme.load_board(folder).to_frame().set_index("name")
    for row in rows:
        assert float(row["average"]) == pytest.approx(frame.loc[row["name"], "average"], abs=1e-5)
        assert float(row["low"]) < float(row["average"]) < float(row["high"])
    text = (folder / "study.md").read_text()
    assert "Rows of the same method differ only in rank. Brackets hold 95 % intervals." in text
    soft = cme.load_board(folder).standing.soft.averages["lora-ranks-8"]
    assert float(rows[1]["soft_average"]) == pytest.approx(soft.value, abs=1e-5) and "| soft average |" in text
    first = (folder / "study.svg").read_bytes()
    assert b"CME average" in first
    cme.board_tables(board)
    assert (folder / "study.svg").read_bytes() == first, "equal boards give bitwise identical figures"


def test_a_missing_entry_is_one_message(board, tmp_path):
    shutil.rmtree(tmp_path / "out" / "smollm2-135m")
    with pytest.raises(CMEError, match=r"smollm2-135m"):
        cme.board_tables(board)


def test_a_check_leaves_out_what_has_not_begun(board, tmp_path):
    cme.board_tables(board)
    other, study = tmp_path / "out" / "smollm2-135m", tmp_path / "out" / "studies" / "ranks"
    shutil.rmtree(other)
    with pytest.raises(CMEError, match=r"The base smollm2-135m lacks lora, moelora, team"):
        cme.board_tables(board)
    assert cme.board_tables(board, check=True) == []
    (study / "study.md").write_text("")
    assert cme.board_tables(board, check=True) == [study / "study.md"]
    (study / "entries" / "lora-ranks-8.json").unlink()
    with pytest.raises(CMEError, match=r"lacks lora-ranks-8, so the study ranks has no tables"):
        cme.board_tables(board, check=True)


def test_a_check_of_a_board_without_entries_is_refused(board, tmp_path):
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(CMEError, match=r"The base base lacks lora, moelora, team"):
        cme.board_tables(board, check=True)


def test_tables_that_do_not_match_the_entries_are_named(board, tmp_path):
    everything = {path.relative_to(tmp_path / "out").as_posix() for path in cme.board_tables(board, check=True)}
    assert {path.relative_to(tmp_path / "out").as_posix() for path in cme.board_tables(board)} == everything
    check = ["board", "tables", str(board), "--check"]
    assert cme.board_tables(board, check=True) == [] and CliRunner().invoke(app, check).exit_code == 0
    shutil.rmtree(tmp_path / "base")  # the tables need no base
    assert CliRunner().invoke(app, check).exit_code == 0
    table, figure = tmp_path / "out" / "order.md", tmp_path / "out" / "studies" / "ranks" / "study.svg"
    table.write_text(table.read_text().replace("lora", "LoRA"))
    figure.unlink()
    before = table.read_bytes()
    assert cme.board_tables(board, check=True) == [table, figure]
    result = CliRunner().invoke(app, check)
    assert result.exit_code == 1
    assert f"these files do not match the entries:\n  {table}\n  {figure}\n" in result.stderr
    assert table.read_bytes() == before and not figure.exists(), "a check writes nothing"
