"""The plain LoRA that is nearest to a routed adapter in mean square on the validation rows.

A routed layer adds ``s · B z`` to the output of a token, where z are the hidden values A x times the gate weights. For a map W
of the layer's input x, the loss is the sum of ``‖s · B z − W x‖²`` over all tokens. With B kept, ``W = s · B A'``, the best A' is
the regression of z on x, ``A' = ((XᵀX)⁻¹ XᵀZ)ᵀ``. A lower rank is reduced-rank regression (A. J. Izenman, Journal of
Multivariate Analysis 5, 1975).

With few tokens, XᵀX is nearly singular. The ridge penalty therefore pulls A' towards the `mean` export, which is A with each
expert's rows times its mean gate weight, and not towards zero. Since ridge regression is linear in its targets, the loss at rank
k·r is then never above that of `mean` on the same rows, for any penalty, apart from the rounding of the written file. The penalty
of an input is ``ridge · d / n`` times its sum of squares, so it does not depend on the scale of the inputs and vanishes with the
number of tokens n.

The sums of a layer with d inputs take ``8 · (d² + d·k·r + (k·r)²)`` bytes. Layers are processed in groups whose sums take at most
4 GiB, or one by one if a layer needs more, with one pass over the rows for each group.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cme.export.matrices import Matrices, gated_down, gated_values
from cme.export.rows import Batch, ValidationRows, batches, forward
from cme.progress import bar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["LIMIT", "Fitted", "Sums", "fit_layers", "fitted_layer", "gated_hidden", "groups_of", "state_bytes"]

LIMIT = 4 * 2**30
"""Bytes of the sums of a group of layers."""

_LEAST_PIVOT = 1e-12
"""Smallest pivot of a Cholesky factor that is no rounding error, squared and relative to the sum of squares of its input."""


@dataclass(eq=False)
class Sums:
    """Sums over tokens of one layer, in float64.

    Attributes:
        inputs: XᵀX, [d, d].
        cross: XᵀZ, [d, k·r].
        hidden: ZᵀZ, [k·r, k·r].
        tokens: number of tokens, n.
    """

    inputs: "Tensor"
    cross: "Tensor"
    hidden: "Tensor"
    tokens: int = 0

    @classmethod
    def zeros(cls, inputs: int, columns: int, device: Any = "cpu") -> "Sums":
        """Return sums over no tokens.

        Args:
            inputs: number of inputs of the layer, d.
            columns: number of columns of Z, k·r.
            device: device of the sums.
        """
        import torch

        def zeros(*shape: int) -> "Tensor":
            return torch.zeros(shape, dtype=torch.float64, device=device)

        return cls(zeros(inputs, inputs), zeros(inputs, columns), zeros(columns, columns))

    def add(self, x: "Tensor", z: "Tensor") -> None:
        """Add tokens.

        Args:
            x: inputs of the layer, [n, d].
            z: gated hidden values, [n, k·r].
        """
        device = self.inputs.device
        # Conversion after the transfer, because some devices have no float64.
        x, z = x.to(device).double(), z.to(device).double()
        self.tokens += len(x)
        self.inputs.addmm_(x.T, x)
        self.cross.addmm_(x.T, z)
        self.hidden.addmm_(z.T, z)

    def loss(self, matrices: Matrices, down: "Tensor", up: "Tensor") -> float:
        """Return the sum of ‖s · B z − up · down · x‖² over the tokens.

        Args:
            matrices: matrices of the routed layer.
            down: A of a plain LoRA, [R, d] in float64.
            up: its B, [m, R] in float64.
        """
        own = matrices.scaling * matrices.up
        routed = float(((own.T @ own) * self.hidden).sum())
        both = float(((own.T @ up) * (self.cross.T @ down.T)).sum())
        plain = float(((up.T @ up) * (down @ self.inputs @ down.T)).sum())
        return max(routed - 2 * both + plain, 0.0)

    def energy(self, matrices: Matrices) -> float:
        """Return the sum of ‖s · B z‖² over the tokens: the loss of an export that does nothing."""
        own = matrices.scaling * matrices.up
        return float(((own.T @ own) * self.hidden).sum())


@dataclass(frozen=True, eq=False)
class Fitted:
    """The fit of one layer.

    Attributes:
        down: A of the plain LoRA, [R, d] in float64.
        up: its B, [m, R] in float64.
        energy: sum of the squares of the routed layer's output.
        loss: loss of the fit, after rounding to the data type of its file.
        mean_loss: loss of the `mean` export.
    """

    down: "Tensor"
    up: "Tensor"
    energy: float
    loss: float
    mean_loss: float


def state_bytes(inputs: int, columns: int) -> int:
    """Return the bytes of the sums of one layer.

    Args:
        inputs: number of inputs, d.
        columns: number of columns of Z, k·r.
    """
    return 8 * (inputs * inputs + inputs * columns + columns * columns)


def groups_of(sizes: Mapping[str, int], limit: int = LIMIT) -> list[list[str]]:
    """Divide layers, in order, into groups whose sums take at most ``limit`` bytes. A larger layer is a group of its own.

    Args:
        sizes: bytes of the sums of each layer.
        limit: most bytes of a group.
    """
    groups: list[list[str]] = []
    total = 0
    for path, size in sizes.items():
        if not groups or total + size > limit:
            groups.append([])
            total = 0
        groups[-1].append(path)
        total += size
    return groups


def fitted_layer(
    sums: Sums, matrices: Matrices, gates: "Tensor", *, rank: int, ridge: float, dtype: "torch.dtype | None" = None
) -> Fitted:
    """Fit one layer.

    Args:
        sums: its sums.
        matrices: its matrices, on the device of the sums.
        gates: mean gate weights, [k].
        rank: rank of the plain LoRA, at most k·r. At k·r, B is that of the experts times the scaling.
        ridge: the penalty towards `mean`, at least 0.
        dtype: data type in which the fit is written. None means float64.
    """
    import torch

    mean, up = gated_down(matrices, gates), matrices.scaling * matrices.up
    inputs = sums.inputs.clone()
    inputs.diagonal().mul_(1 + ridge * len(inputs) / sums.tokens)
    down = mean + _solve(inputs, sums.cross - sums.inputs @ mean.T).T
    energy, mean_loss = sums.energy(matrices), sums.loss(matrices, mean, up)
    if rank < up.shape[1]:
        # The columns of B span the range of the map, so its best projection is that of a k·r × k·r matrix.
        basis, inner = torch.linalg.qr(up)
        half = inner @ down
        vectors = torch.linalg.eigh(half @ inputs @ half.T).eigenvectors[:, -rank:].flip(-1)
        down, up = vectors.T @ half, basis @ vectors
    written = (of.to(dtype or torch.float64).double() for of in (down, up))
    return Fitted(down, up, energy, sums.loss(matrices, *written), mean_loss)


def fit_layers(
    model: Any,
    matrices: Mapping[str, Matrices],
    gates: "Mapping[str, Tensor]",
    validation: ValidationRows,
    pad: int,
    *,
    rank: int,
    ridge: float,
    limit: int = LIMIT,
    dtype: "torch.dtype | None" = None,
) -> Iterator[tuple[str, Fitted]]:
    """Fit all layers of the adapter ``default``, with one pass over the rows for each group of layers.

    Args:
        model: a `PeftModel` with a routed adapter, in evaluation mode.
        matrices: matrices of each layer.
        gates: mean gate weights of each layer, [k].
        validation: the rows.
        pad: token id of the padding.
        rank: rank of the plain LoRA.
        ridge: the penalty towards `mean`, at least 0.
        limit: most bytes of the sums of a group.
        dtype: data type in which the fit is written. None means float64.

    Yields:
        The name and the fit of each layer.
    """
    from cme.adapters.routed.gates import routed_layers

    layers = routed_layers(model)
    sizes = {path: state_bytes(of.down.shape[1], of.up.shape[1]) for path, of in matrices.items()}
    groups = groups_of(sizes, limit)
    with bar("Fitting", len(groups) * len(validation.rows)) as progress:
        for group in groups:
            sums = _passed(model, {path: layers[path] for path in group}, matrices, validation, pad, progress)
            for path in group:
                own = sums.pop(path)
                at = own.inputs.device
                of = matrices[path]
                moved = Matrices(of.down.to(at), of.up.to(at), of.experts, of.scaling)
                yield path, fitted_layer(own, moved, gates[path].to(at), rank=rank, ridge=ridge, dtype=dtype)


def _passed(
    model: Any,
    layers: Mapping[str, Any],
    matrices: Mapping[str, Matrices],
    validation: ValidationRows,
    pad: int,
    progress: Any,
) -> dict[str, Sums]:
    """Return the sums of some layers over all rows."""
    import torch

    device = next(model.parameters()).device
    home = device if device.type in ("cpu", "cuda") else torch.device("cpu")
    sums = {path: Sums.zeros(of.in_features, matrices[path].up.shape[1], home) for path, of in layers.items()}
    current: list[Batch] = []
    with _hooked(layers, matrices, sums, lambda: current[0]), torch.inference_mode():
        for batch in batches(validation, pad, device):
            current[:] = [batch]
            forward(model, batch, progress)
    return sums


@contextmanager
def _hooked(
    layers: Mapping[str, Any], matrices: Mapping[str, Matrices], sums: Mapping[str, Sums], batch: Callable[[], Batch]
) -> Iterator[None]:
    """Let each layer add its inputs and its gated hidden values to its sums."""

    def hook(path: str) -> Callable[[Any, Sequence[Any]], None]:
        def add(layer: Any, args: Sequence[Any]) -> None:
            used = batch().mask.reshape(-1).bool()
            x = args[0].reshape(-1, layer.in_features)[used]
            sums[path].add(x, gated_hidden(layer, matrices[path], x))

        return add

    handles = [layer.register_forward_pre_hook(hook(path)) for path, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def gated_hidden(layer: Any, matrices: Matrices, x: "Tensor", adapter_name: str = "default") -> "Tensor":
    """Return the hidden values times the gate weights of a layer, [n, k·r].

    Args:
        layer: a `RoutedLinear`.
        matrices: its matrices.
        x: its inputs, [n, d].
        rank: rank of one expert, r.
        adapter_name: name of the adapter.
    """
    config = layer.plans[adapter_name].config
    x = x.to(layer.own(layer.adapter_layer_names[0], adapter_name).dtype)
    hidden, gates, _ = layer.route(adapter_name, config, x, x)
    return gated_values(matrices, hidden, gates)


def _solve(inputs: "Tensor", cross: "Tensor") -> "Tensor":
    """Solve ``inputs · S = cross`` for a symmetric matrix that is at least positive semidefinite."""
    import torch

    factor, failed = torch.linalg.cholesky_ex(inputs)
    # A pivot is what the inputs before it do not explain. Rounding alone can make one positive that should be 0.
    if not int(failed) and bool((factor.diagonal().square() > _LEAST_PIVOT * inputs.diagonal()).all()):
        return torch.cholesky_solve(cross, factor)
    # Without a penalty, fewer tokens than inputs leave directions without data, in which nothing is changed.
    inverse: Tensor = torch.linalg.pinv(inputs, rtol=1e-12, hermitian=True)
    return inverse @ cross
