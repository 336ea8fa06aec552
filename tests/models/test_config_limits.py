import json
import os

import pytest

from cme.errors import SourceError
from cme.models.config_limits import check_config
from cme.models.load import resolve_base, resolve_config


def made(folder, **values):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **values}))
    return folder / "config.json"


@pytest.mark.parametrize(
    "values",
    [
        {"num_hidden_layers": 10**9},
        {"n_layer": 10**9},
        {"num_layers": 5000},
        {"encoder_layers": 10**9},
        {"text_config": {"num_hidden_layers": 10**9}},
        {"num_experts": 10**9},
        {"num_local_experts": 10**6},
        {"hidden_size": 10**12},
        {"vocab_size": 10**10},
        {"num_attention_heads": 10**9},
    ],
)
def test_sizes_beyond_the_limits_are_refused(tmp_path, values):
    path = made(tmp_path / "base", **values)
    for call in (lambda: check_config(path), lambda: resolve_base(str(path.parent)), lambda: resolve_config(str(path))):
        with pytest.raises(SourceError, match="but at most"):
            call()


def test_sizes_of_large_models_are_accepted(tmp_path):
    check_config(
        made(
            tmp_path / "base",
            num_hidden_layers=1000,
            hidden_size=65536,
            vocab_size=262_400,
            num_experts=4096,
            max_position_embeddings=10**9,
            rope_theta=10**9,
            bos_token_id=10**8,
            layer_types=["full_attention"] * 1000,
            quantization_config={"bits": 4},
            tie_word_embeddings=True,
        )
    )


@pytest.mark.parametrize("content", ["[]", "{", "[" * 10_000, "3", f'{{"num_hidden_layers": {"9" * 400}}}'])
def test_a_file_that_is_not_a_configuration(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(SourceError, match=r"config\.json"):
        resolve_base(str(tmp_path))


def test_a_named_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(SourceError):
        resolve_base(str(tmp_path))
