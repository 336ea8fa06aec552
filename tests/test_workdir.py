import pytest

from cme.errors import CMEError, UsageError
from cme.files import write_text
from cme.workdir import claim, finish, is_finished, release

SETTINGS = {"source": "mini", "size": 100, "datasets": ("arc", "qqp")}


def contents(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("there", [False, True])
def test_a_new_or_empty_folder_is_taken(tmp_path, there):
    out = tmp_path / "a" / "out"
    if there:
        out.mkdir(parents=True)
    assert claim(out, "build-data", SETTINGS) is False
    assert not is_finished(out)


def test_unfinished_work_continues_with_equal_settings(tmp_path):
    claim(tmp_path / "out", "eval", SETTINGS)
    assert claim(tmp_path / "out", "eval", dict(reversed(SETTINGS.items()))) is True


def test_finished_work_is_refused(tmp_path):
    out = tmp_path / "out"
    claim(out, "eval", SETTINGS)
    finish(out)
    assert is_finished(out)
    with pytest.raises(UsageError, match="finished output of this command"):
        claim(out, "eval", SETTINGS)


@pytest.mark.parametrize("finished", [False, True])
def test_other_settings_are_refused_and_the_difference_is_named(tmp_path, finished):
    out = tmp_path / "out"
    claim(out, "eval", SETTINGS)
    if finished:
        finish(out)
    with pytest.raises(UsageError) as caught:
        claim(out, "eval", SETTINGS | {"size": 200})
    assert "(size: 100 there, 200 now)" in str(caught.value)


def test_of_settings_in_settings_only_those_that_differ_are_named(tmp_path):
    evaluation = {"source": "mini", "tier": "quick", "names": ["a"] * 50, "digests": {"a": "0" * 64}}
    claim(tmp_path, "reproduce", {"evaluation": evaluation})
    with pytest.raises(UsageError) as caught:
        claim(tmp_path, "reproduce", {"evaluation": evaluation | {"source": "hub", "digests": {"b": "0" * 64}}})
    named = "(evaluation.digests: a only there; b only now, evaluation.source: 'mini' there, 'hub' now)"
    assert named in str(caught.value)


def test_another_commands_folder_is_refused(tmp_path):
    claim(tmp_path / "out", "build-data", SETTINGS)
    with pytest.raises(UsageError, match="output of 'cme build-data'"):
        claim(tmp_path / "out", "eval", SETTINGS)


def test_a_foreign_folder_is_refused_and_untouched(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match="not empty"):
        claim(tmp_path, "eval", SETTINGS)
    assert contents(tmp_path) == ["thesis.tex"]


def test_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        claim(tmp_path / "out", "eval", SETTINGS)


def test_a_folder_that_cannot_be_created_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CMEError, match="cannot write"):
        claim(tmp_path / "file" / "out", "eval", SETTINGS)


def test_a_process_killed_while_it_claimed_is_forgotten(tmp_path, monkeypatch):
    out = tmp_path / "out"

    def killed(self, target):
        raise SystemExit(137)

    with monkeypatch.context() as patch:
        # A kill leaves the temporary file where it is.
        patch.setattr("pathlib.Path.replace", killed)
        patch.setattr("pathlib.Path.unlink", lambda self, missing_ok=False: None)
        with pytest.raises(SystemExit):
            claim(out, "eval", SETTINGS)
    assert [name for name in contents(out) if name.startswith("..cme.json.")]
    assert claim(out, "eval", SETTINGS) is False
    assert [name for name in contents(out) if name.endswith(".tmp")] == []


def test_a_damaged_marker_is_reported(tmp_path):
    claim(tmp_path / "out", "eval", SETTINGS)
    (tmp_path / "out" / ".cme.json").write_text("{")
    with pytest.raises(CMEError, match="not valid JSON"):
        claim(tmp_path / "out", "eval", SETTINGS)


def test_release_gives_an_empty_folder_back(tmp_path):
    claim(tmp_path / "out", "eval", SETTINGS)
    release(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_release_keeps_work(tmp_path):
    out = tmp_path / "out"
    claim(out, "eval", SETTINGS)
    write_text(out / "samples", "work")
    release(out)
    assert contents(out) == ["samples"]


def test_datasets_that_differ_are_named_without_their_fingerprints(tmp_path):
    before = {"rte": "1" * 64, "qqp": "2" * 64, "mnli": "3" * 64}
    claim(tmp_path / "out", "eval", SETTINGS | {"datasets": before})
    finish(tmp_path / "out")
    now = {"rte": "1" * 64, "mnli": "4" * 64, "paws": "5" * 64}
    with pytest.raises(UsageError) as caught:
        claim(tmp_path / "out", "eval", SETTINGS | {"datasets": now})
    assert "(datasets: qqp only there; paws only now; mnli of another version)" in str(caught.value)
