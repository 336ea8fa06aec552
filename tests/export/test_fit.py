"""The plain LoRA that is nearest in mean square: against direct solutions, and against plain loops over rows."""

import pytest
import torch

from cme.adapters.load import load_adapter
from cme.adapters.routed.gates import routed_layers
from cme.export.fit import Sums, fit_layers, fitted_layer, groups_of, state_bytes
from cme.export.gate_means import gate_means
from cme.export.matrices import Matrices, constant_gates, gated_down, read_matrices
from cme.export.rows import validation_rows
from cme.models.load import load_model, load_tokenizer
from cme.training.encode import Encoder
from tests.adapters.variants import ROUTED

INPUTS, OUTPUTS, EXPERTS, RANK = 10, 7, 3, 2


def made(tokens: int, *, constant: bool = False, shared: bool = False, seed: int | None = None):
    """Random matrices, inputs, gated hidden values, and mean gate weights of a layer."""
    draw = torch.Generator().manual_seed(tokens if seed is None else seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    down = normal(RANK if shared else EXPERTS * RANK, INPUTS)
    matrices = Matrices(down, normal(OUTPUTS, EXPERTS * RANK), EXPERTS, scaling=1.7)
    x = normal(tokens, INPUTS)
    gates = torch.softmax(2 * x @ normal(INPUTS, EXPERTS), dim=-1)
    if constant:
        gates = gates[:1].expand(tokens, -1)
    hidden = (x @ down.T).reshape(tokens, -1, RANK) * gates[..., None]
    return matrices, x, hidden.reshape(tokens, -1), gates.mean(0)


def summed(x, z) -> Sums:
    sums = Sums.zeros(INPUTS, EXPERTS * RANK)
    for start in range(0, len(x), 5):
        sums.add(x[start : start + 5].float().double(), z[start : start + 5])
    return sums


def direct_loss(matrices, x, z, down, up) -> float:
    """The sum of squares, from the tokens themselves."""
    return float((matrices.scaling * z @ matrices.up.T - x @ down.T @ up.T).square().sum())


@pytest.mark.parametrize("shared", [False, True])
def test_constant_gate_weights_are_recovered_exactly(shared):
    matrices, x, z, gates = made(40, constant=True, shared=shared)
    x = x.float().double()
    z = ((x @ matrices.down.T).reshape(40, -1, RANK) * gates[:, None]).reshape(40, -1)
    wrong = torch.full_like(gates, 0.5)
    fitted = fitted_layer(summed(x, z), matrices, wrong, rank=6, ridge=0.0)
    assert float((fitted.down - gated_down(matrices, gates)).abs().max()) < 1e-12
    assert fitted.loss <= 1e-12 * fitted.energy < fitted.mean_loss


def test_the_fit_is_the_solution_of_least_squares():
    matrices, x, z, gates = made(200)
    x = x.float().double()
    fitted = fitted_layer(summed(x, z), matrices, gates, rank=6, ridge=0.0)
    solved = torch.linalg.lstsq(x, z).solution.T
    torch.testing.assert_close(fitted.down, solved, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(fitted.up, matrices.scaling * matrices.up)
    assert fitted.loss == pytest.approx(direct_loss(matrices, x, z, fitted.down, fitted.up))
    assert fitted.energy == pytest.approx(direct_loss(matrices, x, z, 0 * fitted.down, fitted.up))
    assert fitted.mean_loss == pytest.approx(direct_loss(matrices, x, z, *constant_gates(matrices, gates)))


@pytest.mark.parametrize("tokens", [4, 9, 30, 300])
@pytest.mark.parametrize("ridge", [0.0, 1e-6, 1e-2, 10.0])
@pytest.mark.parametrize("shared", [False, True])
def test_the_fit_is_never_worse_than_mean_on_its_rows(tokens, ridge, shared):
    matrices, x, z, gates = made(tokens, shared=shared)
    fitted = fitted_layer(summed(x, z), matrices, gates, rank=6, ridge=ridge)
    assert fitted.loss <= fitted.mean_loss * (1 + 1e-9)
    if ridge == 0 and tokens > INPUTS:
        assert fitted.loss < 0.99 * fitted.mean_loss


@pytest.mark.parametrize("seed", range(8))
def test_a_coarse_file_has_the_loss_of_its_rounded_values(seed):
    matrices, x, z, gates = made(300, constant=True, seed=seed)
    x = x.float().double()
    z = ((x @ matrices.down.T).reshape(300, -1, RANK) * gates[:, None]).reshape(300, -1)
    fitted = fitted_layer(summed(x, z), matrices, gates, rank=6, ridge=0.0, dtype=torch.bfloat16)
    rounded = (of.bfloat16().double() for of in (fitted.down, fitted.up))
    assert fitted.loss == pytest.approx(direct_loss(matrices, x, z, *rounded), rel=1e-6)
    assert fitted.loss > 1e-6 * fitted.energy, "an exact fit is not exact in the file"


@pytest.mark.parametrize("seed", range(8))
def test_directions_without_data_stay_as_in_mean(seed):
    matrices, x, z, gates = made(INPUTS - 1, seed=seed)
    x = x.float().double()
    fitted = fitted_layer(summed(x, z), matrices, gates, rank=6, ridge=0.0)
    mean = gated_down(matrices, gates)
    nearest = mean + (torch.linalg.pinv(x) @ (z - x @ mean.T)).T
    torch.testing.assert_close(fitted.down, nearest, rtol=1e-5, atol=1e-5)
    assert fitted.loss <= 1e-9 * fitted.energy


def test_the_scale_of_the_inputs_does_not_matter():
    matrices, x, z, gates = made(60)
    scale = torch.logspace(-2, 2, INPUTS, dtype=torch.float64)
    other = Matrices(matrices.down / scale, matrices.up, EXPERTS, matrices.scaling)
    fitted = fitted_layer(summed(x, z), matrices, gates, rank=6, ridge=1.0)
    scaled = Sums.zeros(INPUTS, EXPERTS * RANK)
    scaled.add(x.float().double() * scale, z)
    again = fitted_layer(scaled, other, gates, rank=6, ridge=1.0)
    torch.testing.assert_close(again.down * scale, fitted.down, rtol=1e-7, atol=1e-9)
    assert again.loss == pytest.approx(fitted.loss) and fitted.loss < fitted.mean_loss


def test_a_large_penalty_gives_mean():
    matrices, x, z, gates = made(50)
    fitted = fitted_layer(summed(x, z), matrices, gates, rank=6, ridge=1e12)
    torch.testing.assert_close(fitted.down, gated_down(matrices, gates), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("rank", [1, 2, 4, 5])
def test_a_lower_rank_is_the_best_of_that_rank(rank):
    matrices, x, z, gates = made(200)
    x = x.float().double()
    fitted = fitted_layer(summed(x, z), matrices, gates, rank=rank, ridge=0.0)
    assert fitted.down.shape == (rank, INPUTS) and fitted.up.shape == (OUTPUTS, rank)
    wanted = matrices.scaling * z @ matrices.up.T
    whole = x @ torch.linalg.lstsq(x, wanted).solution
    rest = torch.linalg.svdvals(whole)[rank:].square().sum()
    best = float((wanted - whole).square().sum() + rest)
    assert fitted.loss == pytest.approx(best)
    assert direct_loss(matrices, x, z, fitted.down, fitted.up) == pytest.approx(best)


@pytest.mark.parametrize("method", ROUTED)
def test_the_sums_of_a_model_are_those_of_its_tokens(mix, tiny_base, routed, method):
    validation = validation_rows(mix, Encoder(load_tokenizer(tiny_base), "plain", 256))
    model = load_adapter(load_model(tiny_base), routed(method))
    layers = routed_layers(model)
    matrices = {path: read_matrices(path, layer) for path, layer in layers.items()}
    gates = gate_means(model, validation, pad=1).overall
    values = {"rank": 12, "ridge": 1e-3}
    fits = dict(fit_layers(model, matrices, gates, validation, 1, **values))
    one_by_one = dict(fit_layers(model, matrices, gates, validation, 1, **values, limit=1))
    errors = dict.fromkeys(layers, 0.0)
    energies = dict.fromkeys(layers, 0.0)

    def compare(path):
        def hook(layer, args, output):
            own = (output - layer.base_layer(args[0])).double()
            plain = args[0].double() @ fits[path].down.T @ fits[path].up.T
            energies[path] += float(own.square().sum())
            errors[path] += float((own - plain).square().sum())

        return hook

    for path, layer in layers.items():
        layer.register_forward_hook(compare(path))
    with torch.no_grad():
        for row in validation.rows:
            model(input_ids=torch.tensor([row.ids]))
    for path, fitted in fits.items():
        assert fitted.energy == pytest.approx(energies[path], rel=1e-4)
        assert fitted.loss == pytest.approx(errors[path], rel=1e-3, abs=1e-6 * fitted.energy)
        assert 0 < fitted.loss < fitted.mean_loss
        torch.testing.assert_close(one_by_one[path].down, fitted.down)


def test_layers_are_grouped_by_the_bytes_of_their_sums():
    sizes = {"a": 3, "b": 4, "c": 9, "d": 1, "e": 2}
    assert groups_of(sizes, 8) == [["a", "b"], ["c"], ["d", "e"]]
    assert groups_of(sizes, 1) == [["a"], ["b"], ["c"], ["d"], ["e"]]
    sums = Sums.zeros(30, 12)
    held = sum(item.numel() * item.element_size() for item in (sums.inputs, sums.cross, sums.hidden))
    assert state_bytes(30, 12) == held
