import importlib

import pytest

from cme.errors import UsageError
from cme.mix import build
from cme.workdir import is_finished


@pytest.fixture
def undisturbed(plain_rows, fake_source, settings, tree):
    made = settings(out="undisturbed", size=300, rows_per_shard=100)
    build(made, source=fake_source(plain_rows))
    return tree(made.out)


def interrupt(monkeypatch, target, call):
    """Let the ``call``-th use of a function end in Ctrl-C."""
    module, name = target.rsplit(".", 1)
    holder = importlib.import_module(module)
    real, calls = getattr(holder, name), []

    def interrupted(*args, **kwargs):
        calls.append(name)
        if len(calls) == call:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(holder, name, interrupted)


@pytest.mark.parametrize(
    ("target", "call"),
    [
        ("cme.mix.collect_eval.load_examples", 2),
        ("cme.mix.collect_train.canonical_texts", 450),
        ("cme.mix.collect_eval.mark", 3),
        ("cme.mix.collect_train.mark", 3),
        ("cme.mix.build.clean", 1),
        ("cme.mix.write._complete", 1),
        ("cme.mix.write._complete", 2),
        ("cme.mix.write._write_shard", 1),
        ("cme.mix.write._write_shard", 3),
        ("cme.mix.write._write_shard", 4),
        ("cme.mix.write.mark", 1),
        ("cme.mix.build.join_leak_detector", 1),
        ("cme.mix.build.write_text", 1),
        ("cme.mix.build.write_record", 1),
        ("cme.mix.build.finish", 1),
    ],
)
def test_an_interrupted_build_goes_on_and_gives_the_same_bytes(
    target, call, plain_rows, fake_source, settings, tree, undisturbed, monkeypatch
):
    made = settings(size=300, rows_per_shard=100)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt(patch, target, call)
        build(made, source=fake_source(plain_rows))
    assert not is_finished(made.out)
    build(made, source=fake_source(plain_rows))
    assert tree(made.out) == undisturbed


def test_what_was_read_is_not_read_again(plain_rows, fake_source, settings, monkeypatch):
    made = settings(size=300)
    first, second = fake_source(plain_rows), fake_source(plain_rows)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt(patch, "cme.mix.write._complete", 1)
        build(made, source=first)
    assert len(first.requested) == 4
    build(made, source=second)
    assert second.requested == []


def test_leftovers_of_a_killed_build_are_swept(plain_rows, fake_source, settings, tree, undisturbed, monkeypatch):
    made = settings(size=300, rows_per_shard=100)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt(patch, "cme.mix.write._write_shard", 2)
        build(made, source=fake_source(plain_rows))
    (made.out / "train" / ".part-00001.parquet.abc.tmp").write_bytes(b"half")
    build(made, source=fake_source(plain_rows))
    assert tree(made.out) == undisturbed


def test_other_settings_do_not_continue(plain_rows, fake_source, settings, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt(patch, "cme.mix.write._complete", 1)
        build(settings(size=300), source=fake_source(plain_rows))
    with pytest.raises(UsageError, match="size: 300 there, 200 now"):
        build(settings(size=200), source=fake_source(plain_rows))


def test_a_folder_that_holds_something_else_is_refused_untouched(plain_rows, fake_source, settings, tree):
    made = settings()
    made.out.mkdir()
    (made.out / "thesis.tex").write_text("years of work")
    before = tree(made.out)
    with pytest.raises(UsageError, match="not empty"):
        build(made, source=fake_source(plain_rows))
    assert tree(made.out) == before


def test_a_finished_mix_is_not_built_over(plain_rows, fake_source, settings):
    build(settings(), source=fake_source(plain_rows))
    with pytest.raises(UsageError, match="finished output"):
        build(settings(), source=fake_source(plain_rows))
