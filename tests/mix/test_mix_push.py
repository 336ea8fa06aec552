import json
import shutil

import pytest
from huggingface_hub import HfApi

from cme.errors import CMEError, SourceError, UsageError
from cme.mix import BuildSettings, build, read_manifest
from cme.mix.push import push
from tests.mix.command import cme
from tests.mix.hub_writer import HubWriter

TOKEN = "hf_test"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "mix"
    build(BuildSettings(source="mini", out=out, size=300, datasets=("nq_open", "qqp"), rows_per_shard=100))
    return out


@pytest.fixture
def mix(built, tmp_path):
    return shutil.copytree(built, tmp_path / "mix")


@pytest.fixture
def closed(tmp_path, plain_rows, fake_source):
    """A mix with a dataset for non-commercial use (QQP), beside one for any."""
    out = tmp_path / "closed"
    build(BuildSettings(source="fake", out=out, datasets=("nq_open", "qqp")), source=fake_source(plain_rows))
    return out


@pytest.fixture
def hub():
    with HubWriter(TOKEN) as server:
        yield server


@pytest.fixture
def api(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    return HfApi(endpoint=hub.endpoint, token=TOKEN)


def contents(folder):
    """Everything that a build writes but its own dot files, as the hub then has it."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {".gitattributes": b""} | {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_mix_goes_up_whole_and_private(mix, hub, api):
    expected, manifest = contents(mix), read_manifest(mix)
    assert {*manifest.files, "README.md", "manifest.json", "overlap.json"} <= set(expected)
    (mix / "notes.txt").write_text("my own")
    (mix / "train" / ".part-00000.parquet.x.tmp").write_bytes(b"half")
    done = push(mix, "me/mix", api=api)
    assert done.repository == "me/mix" and done.private and hub.private["me/mix"]
    assert done.url.startswith(f"{hub.endpoint}/datasets/me/mix/commit/")
    assert hub.files["me/mix"] == expected
    assert hub.messages == [f"CME mix of 300 rows, fingerprint {manifest.fingerprint[:12]}"]


def test_a_name_alone_is_the_users_own(mix, hub, api):
    assert push(mix, "mix", api=api, public=True).repository == "me/mix"
    assert hub.private == {"me/mix": False}


def test_a_smaller_mix_replaces_a_larger_one(mix, hub, api, tmp_path):
    push(mix, "me/mix", api=api)
    small = tmp_path / "small"
    build(BuildSettings(source="mini", out=small, size=50, datasets=("nq_open", "qqp"), rows_per_shard=100))
    push(small, "me/mix", api=api)
    assert "train/part-00002.parquet" in contents(mix) and "train/part-00002.parquet" not in contents(small)
    assert hub.files["me/mix"] == contents(small)


def test_licences_are_checked_before_anything_is_sent(closed, hub, api):
    with pytest.raises(UsageError) as caught:
        push(closed, "me/mix", api=api)
    assert "qqp: Quora terms of service (non-commercial) (noncommercial)" in str(caught.value)
    assert "nq_open" not in str(caught.value) and "--i-have-the-rights" in str(caught.value)
    assert hub.files == {}
    assert push(closed, "me/mix", api=api, have_rights=True).private


def test_a_mix_that_differs_from_its_manifest_stays_here(mix, hub, api):
    file = mix / "train" / "part-00001.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(CMEError, match=r"nothing was uploaded:\n  train/part-00001\.parquet has changed"):
        push(mix, "me/mix", api=api)
    assert hub.files == {}


def test_a_repository_that_is_public_already_is_not_taken_for_private(mix, hub, api):
    hub.files["me/mix"], hub.private["me/mix"] = {".gitattributes": b""}, False
    with pytest.raises(UsageError, match="me/mix already exists and is public"):
        push(mix, "me/mix", api=api)
    assert list(hub.files["me/mix"]) == [".gitattributes"]
    assert not push(mix, "me/mix", api=api, public=True).private


def test_a_repository_with_something_else_is_left_alone(mix, hub, api):
    mine = {".gitattributes": b"", "README.md": b"mine", "train/part-00000.parquet": b"mine"}
    hub.files["me/data"], hub.private["me/data"] = dict(mine), True
    with pytest.raises(UsageError, match=r"me/data holds something other than a mix \(train/part-00000.parquet\)"):
        push(mix, "me/data", api=api)
    assert hub.files["me/data"] == mine


@pytest.mark.parametrize("name", ["a/b/c", "me/mi x", ""])
def test_an_impossible_name_is_reported(mix, api, name):
    with pytest.raises(SourceError, match="the hub rejected"):
        push(mix, name, api=api)


def test_a_wrong_token_or_no_hub_is_one_message(mix, hub, api):
    with pytest.raises(SourceError, match=r"rejected me/mix: .*401.*\nLog in with 'hf auth login'"):
        push(mix, "me/mix", api=HfApi(endpoint=hub.endpoint, token="hf_wrong"))
    with pytest.raises(SourceError, match="rejected me/mix"):
        push(mix, "me/mix", api=HfApi(endpoint="http://127.0.0.1:9", token=TOKEN))


def test_the_command_lists_every_licence_first(closed, hub, api, monkeypatch):
    result = cme("push", closed, "--repo", "me/mix")
    assert result.exit_code == 2
    assert "Quora terms of service (non-commercial)  noncommercial" in result.stdout
    assert "CC BY-SA 3.0                             commercial" in result.stdout
    monkeypatch.setattr("huggingface_hub.HfApi", lambda **arguments: api)
    result = cme("push", closed, "--repo", "me/mix", "--i-have-the-rights")
    assert result.exit_code == 0, result.stderr
    assert "Uploaded to the private repository me/mix: " in result.stderr
    values = json.loads(cme("push", closed, "--repo", "me/mix", "--i-have-the-rights", "--json").stdout)
    assert values["repository"] == "me/mix" and values["private"] is True


def test_the_client_says_who_it_is(mix, hub, api, monkeypatch):
    arguments = {}
    monkeypatch.setattr("huggingface_hub.HfApi", lambda **values: arguments.update(values) or api)
    push(mix, "me/mix")
    assert arguments == {"library_name": "cme", "library_version": read_manifest(mix).versions["cme"]}
