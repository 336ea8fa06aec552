"""Files of boards that are refused with one message before anything runs."""

import pytest

from cme.board.board import read_board
from cme.board.plan import make_plan
from cme.errors import CMEError, UsageError
from tests.board.fakes import make_board, write_board


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metods": "{}"}, "unknown key 'metods' (did you mean 'methods'?)"),
        ({"methods": "{lora: {recipie: demo-lora}}"}, "unknown key 'recipie' (did you mean 'recipe'?)"),
        ({"methods": "{x: demo-lorra}"}, "unknown recipe 'demo-lorra'. Did you mean 'demo-lora'?"),
        ({"methods": "{lorra: {}}"}, "unknown method 'lorra'. Did you mean"),
        ({"methods": "{}"}, "the board has no methods"),
        ({"methods": "{lora: {settings: {rnk: 4}}}"}, "unknown setting 'rnk'. Did you mean 'rank'?"),
        ({"methods": "{lora: {settings: {experts: 4}}}"}, "lora has no setting 'experts'"),
        ({"methods": "{lora: {settings: {seed: 4}}}"}, "'seed' is chosen by the board"),
        ({"methods": "{lora: {settings: {target_modules: '.*proj'}}}"}, "can only be set in a recipe"),
        ({"methods": "{majority: demo-lora}"}, "the row 'majority' has the name of a reference"),
        ({"methods": "{a/b: demo-lora}"}, "'a/b' cannot be the name of a file"),
        ({"methods": "{lora: demo-lora, lora: demo-lora}"}, "the key 'lora' twice"),
        (
            {"studies": "{s: {of: lora, vary: {experts: [1, 2]}}}"},
            "lora has the method lora, which has no setting 'experts'",
        ),
        ({"studies": "{s: {of: tem, vary: {rank: [1]}}}"}, "unknown method 'tem'. Did you mean 'team'?"),
        ({"studies": "{s: {of: lora, vary: {}}}"}, "nothing varies"),
        ({"studies": "{s: {of: lora, vary: {rank: [2, 2]}}}"}, "two of its rows of lora are equal"),
        ({"studies": "{s: {of: lora, vary: {rank: [2]}, hold: parameters}}"}, "The only choice is total_rank"),
        ({"studies": "{s: {of: team, vary: {experts: [3]}, hold: total_rank}}"}, "is not divisible by 3"),
        ({"studies": "{s: {of: team, vary: {total_rank: [3]}}}"}, "the total rank 3 of team is not divisible by 2"),
        ({"studies": "{s: {of: team, vary: {total_rank: [1.5]}}}"}, "total_rank is 1.5. Give whole numbers above 0"),
        (
            {"studies": "{s: {of: team, vary: {total_rank: [null, 4]}}}"},
            "total_rank is None. Give whole numbers above 0",
        ),
        (
            {"methods": "{m: mola-r8-by-depth}", "studies": "{s: {of: m, vary: {total_rank: [40]}}}"},
            "has no fixed total rank",
        ),
        ({"studies": "{s: {of: team, vary: {total_rank: [4], rank: [2]}}}"}, "rank and total_rank cannot both vary"),
        (
            {"studies": "{s: {of: team, vary: {total_rank: [4], experts: [2]}, hold: total_rank}}"},
            "total_rank cannot both vary and be held",
        ),
        (
            {"methods": "{ada: {settings: {method: adalora}}}", "studies": "{s: {of: ada, vary: {total_rank: [4]}}}"},
            "has no fixed total rank",
        ),
        (
            {"methods": "{lora: {}, lora-s-2: demo-lora}", "studies": "{s: {of: lora, vary: {rank: [2]}}}"},
            "two rows are called 'lora-s-2'",
        ),
        ({"base": "nowhere"}, "base 'nowhere' does not exist: it is neither a folder nor a hub id"),
        ({"base": "./nowhere/at"}, "does not exist"),
        ({"base": "[a/x, b/x]"}, "two bases are called 'x'"),
        ({"tier": "quik"}, "unknown tier 'quik'. Did you mean 'quick'?"),
        ({"suite": "cme-23"}, "unknown suite 'cme-23'. Did you mean 'cme-22'?"),
        ({"datasets": "[rtee]"}, "rtee"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"rates": "[1e-3]"}, "Give at least two different rates"),
        ({"rates": "[1e-3, 1e-3]"}, "Give at least two different rates"),
        ({"rates": "[1e-3, fast]"}, "rates: item 2: expected float, found 'fast'"),
        ({"rates": "[1e-3, -1]"}, "rates: item 2: must be above 0"),
        ({"seeds": "[0, 0]"}, "seeds has 0, 0. Give each seed once."),
        ({"seeds": "[]"}, "seeds has no values"),
        ({"references": "[bse]"}, "unknown reference 'bse'. Did you mean 'base'?"),
        ({"prompt_variants": "{rows: [lorra], which: [1]}"}, "unknown row 'lorra'. Did you mean 'lora'?"),
        ({"prompt_variants": "{rows: [lora]}"}, "needs both rows and which"),
        ({"prompt_variants": "{rows: [lora], which: [99]}"}, "prompt variant 99 does not exist"),
        ({"analysis": "{rows: [lora]}"}, "lora has the method lora, which has no experts"),
        ({"mix": "{folder: mix, size: 3}"}, "folder cannot be combined"),
        (
            {"methods": "{lora: {}, t: lora-r32}"},
            "the recipes have different prompt formats (lora: plain, t: teamlora)",
        ),
        ({"methods": "{t: lora-r32}", "references": "[base-4-shot]"}, "base-4-shot needs the prompt format plain"),
        ({"name": "'a b'"}, "name is 'a b'"),
        ({"out": "''"}, "out is empty"),
        ({"dtype": "bf16"}, "unknown dtype 'bf16'"),
        ({"costs": "{dtype: f16}"}, "unknown costs: dtype 'f16'"),
        ({"analysis": "{tier: quik}"}, "unknown analysis: tier 'quik'. Did you mean 'quick'?"),
        ({"analysis": "{tier: quick}"}, "analysis: tier is quick, but that of the board is smoke"),
        ({"analysis": "{parts: [lod]}"}, "unknown analysis: part 'lod'. Did you mean 'load'?"),
        ({"analysis": "{parts: [similarity]}"}, "parts has similarity, of which a board shows nothing. Add load"),
        (
            {"analysis": "{parts: [load, training]}"},
            "the part training needs the checkpoints of team, which are not kept",
        ),
        ({"analysis": "{rows: [tem]}"}, "analysis: unknown row 'tem'. Did you mean 'team'?"),
        ({"analysis": "{seeds: [2]}"}, "analysis: the seed 2 is not one of the board's seeds (0, 1)"),
        ({"analysis": "{seeds: [1, 1]}"}, "analysis: seeds has 1, 1. Give each seed once."),
        (
            {
                "methods": "{many: {settings: {method: moelora, rank: 1, experts: 8}}}",
                "analysis": "{parts: [load, shapley]}",
            },
            "many has 8 experts, and exact Shapley values are possible for at most 6",
        ),
        (
            {"analysis": "true", "suite": "cme-r", "datasets": "[gsm8k, mbpp]", "run_code": "unsandboxed"},
            "analysis cannot run code, but the results contain mbpp",
        ),
        ({"exports": "{rows: [lora]}"}, "exports: lora has the method lora, which has no experts"),
        ({"exports": "{how: men}"}, "unknown exports: way of exporting 'men'. Did you mean 'mean'?"),
        ({"exports": "{how: family}"}, "no way of exporting to a single adapter"),
        ({"exports": "{steps: 3}"}, "exports: steps applies to distil only"),
        ({"exports": "{how: mean, rank: 3}"}, "exports: rank applies to fit and distil only"),
        ({"exports": "{rank: 5}"}, "rank is 5, but the experts of team have at most rank 4 together"),
        ({"exports": "{how: distil}", "dtype": "float16"}, "distil trains with float32 or bfloat16"),
        ({"exports": "{ridge: -1}"}, "exports: ridge"),
        ({"mix": "{mixing: equl}"}, "mix: "),
        ({"mix": "{datasets: [gsm8k, humaneval]}"}, "mix: datasets: humaneval is for evaluation only"),
        ({"mix": "{temperature: -1}"}, "mix: "),
        ({"mix": "{temperature: 5}"}, "mix: temperature is 5, but the mixing is proportional"),
        ({"mix": "{licence: comercial}"}, "mix: unknown use 'comercial'. Did you mean 'commercial'?"),
        ({"mix": "{validation_share: 0}"}, "validation_share is 0, but the validation rows choose the learning rate"),
        ({"rates": "[1e-3, 1.00000001e-3]"}, "Two rates must differ in their first seven digits"),
        ({"references": "[base, base]"}, "base is listed twice"),
        ({"references": "[base-0-shot]"}, "unknown reference 'base-0-shot'"),
    ],
)
def test_a_wrong_board_is_one_message(tmp_path, changes, message):
    path = write_board(tmp_path, **changes)
    with pytest.raises(CMEError) as caught:
        read_board(path)
    assert message in str(caught.value) and str(path) in str(caught.value)
    assert not (tmp_path / "work").exists() and not (tmp_path / "out").exists()


def test_a_file_that_is_no_board(tmp_path):
    with pytest.raises(CMEError, match=r"missing\.yaml does not exist"):
        read_board(tmp_path / "missing.yaml")
    (tmp_path / "list.yaml").write_text("[1]")
    with pytest.raises(CMEError, match=r"is a folder\. Give the YAML file of a board"):
        read_board(tmp_path)
    with pytest.raises(CMEError, match="must be a mapping"):
        read_board(tmp_path / "list.yaml")


def test_two_steps_of_one_name_are_refused(tmp_path):
    """The second seed of ``lora-wording`` would have the folder of the first prompt variant of ``lora``."""
    methods = "{lora: {settings: {rank: 4}}, lora-wording: {settings: {method: lora, rank: 2}}}"
    board = make_board(tmp_path, methods=methods, prompt_variants="{rows: [lora], which: [1]}")
    with pytest.raises(CMEError, match="two steps are called 'results/lora-wording-1'"):
        make_plan(board)


def test_a_board_is_refused_when_a_method_refuses_a_row_or_a_point(tmp_path):
    """Otherwise the board would fail in the middle of its run."""
    methods = (
        "{lora: {settings: {rank: 4}}, one: {settings: {method: mola, rank: 4, experts: 1}}, "
        "two: {settings: {method: mola, rank: 4, experts: 2}}, wide: {settings: {method: smora, rank: 8, options: {top_k: 9}}}, "
        "tuned: {settings: {method: adamole, rank: 4}, tune: {experts: [1, 2]}}}"
    )
    with pytest.raises(UsageError) as raised:
        make_board(tmp_path, methods=methods, studies="{number: {of: [two], vary: {experts: [1, 2, 4]}}}")
    message = str(raised.value)
    for part in (
        "one: experts must be at least top_k (2), but is 1",
        "wide: top_k must be from 2 to the rank (8), but is 9",
        "tuned/experts-1: experts must be at least 2, but is 1",
        "two-number-1: experts must be at least top_k (2), but is 1",
    ):
        assert part in message
    assert "two:" not in message and "two-number-4" not in message and "tuned/experts-2" not in message


def test_all_invalid_points_of_a_study_are_listed(tmp_path):
    with pytest.raises(UsageError) as raised:
        make_board(tmp_path, studies="{number: {of: [team], vary: {experts: [-1, 0, 4]}}}")
    assert "found -1" in str(raised.value) and "found 0" in str(raised.value)
