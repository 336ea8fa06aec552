import pytest

from tests.evaluation.engine.lab import TIED, adapted_model, choices, engine, texts, tiny_model
from tests.evaluation.engine.test_choice import LABELS, rows


@TIED
@pytest.mark.parametrize("kind", ["base", "lora", "lora on lm_head"])
def test_the_output_layer_reads_rows_that_are_adjacent_in_memory(kind):
    """Otherwise, PyTorch takes 0.1 s per row for the output layer of SmolLM2-135M in bfloat16 on a CPU."""
    model = tiny_model() if kind == "base" else adapted_model(kind)
    head = (model if kind == "base" else model.get_base_model()).get_output_embeddings()
    layer = getattr(head, "base_layer", head)
    strides = []
    forward = layer.forward
    layer.forward = lambda x: strides.append((x.shape, x.stride())) or forward(x)
    lm = engine(model)
    lm.loglikelihood(choices(*[(row, LABELS[:2]) for row in rows()]))
    lm.generate_until(texts(rows(count=4)))
    assert any(shape[0] > 1 and shape[1] == 1 for shape, _ in strides)
    assert all(stride == (shape[1] * shape[2], shape[2], 1) for shape, stride in strides)
    assert not head._forward_pre_hooks, "a hook is left on the model"
