"""The command `plan`. Parse, call, print; the arithmetic is in `plan`."""

import json
from typing import TYPE_CHECKING, Any

import click

from .._words import counted
from ._numbers import FiniteRange

if TYPE_CHECKING:
    from ..plan import Plan

_MORE = FiniteRange(0, 1e15, min_open=True)
_MANY = click.IntRange(1, 10**9)


@click.command("plan")
@click.option("--images", type=_MORE, required=True, help="How many pictures, such as 100e6.")
@click.option("--encoder", default="embedded", show_default=True, help="embedded, siglip, dinov2 or clip.")
@click.option("--machines", type=_MANY, default=1, show_default=True, help="That encode, keep and search.")
@click.option("--cores", type=_MANY, default=2, show_default=True, help="Cores of a machine.")
@click.option("--gpus", type=click.IntRange(0, 10**9), default=0, show_default=True, help="GPUs in all.")
@click.option("--gpu", default="a100", show_default=True, help="l4, a100 or h100.")
@click.option("--replicas", type=_MANY, default=1, show_default=True, help="Copies of the collection.")
@click.option("--regions", type=_MANY, default=30, show_default=True, help="Patches of a picture.")
@click.option("--points", type=click.IntRange(0, 10**6), default=800, show_default=True, help="Of a picture; 0: none.")
@click.option("--bandwidth", type=_MORE, default=25.0, show_default=True, help="GB/s a machine reads features at.")
@click.option("--memory", type=_MORE, default=256.0, show_default=True, help="GB of a machine.")
@click.option("--disk", type=_MORE, default=8000.0, show_default=True, help="GB of a machine.")
@click.option("--network", type=_MORE, default=10.0, show_default=True, help="Gbit/s of a machine.")
@click.option("--picture-mb", type=_MORE, default=0.5, show_default=True, help="MB of a picture's file.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def plan_command(images: float, as_json: bool, **said: Any) -> None:
    """Say what a collection of so many pictures takes, and what gives way first.

    Arithmetic from a few measured figures, scaled or assumed where it says so; docs/scale.md has three such plans.
    """
    from ..plan import Plan
    from ._output import print_line

    plan = Plan(round(images), **said)
    print_line(json.dumps(_record(plan), indent=2) if as_json else _text(plan))


def _record(plan: "Plan") -> dict[str, Any]:
    from dataclasses import asdict

    from ..plan import MODELS, compressions, crops_per_second, limits

    cpu, gpu = crops_per_second(plan)
    return {
        "plan": asdict(plan),
        "crops": plan.n_rows,
        "encoder_source": MODELS[plan.encoder].source,
        "crops_per_second": {"cpu": cpu, "gpu": gpu or None},
        "encode_hours": {"cpu": plan.n_rows / cpu / 3600, "gpu": plan.n_rows / gpu / 3600 if gpu else None},
        "feature_bytes": plan.feature_bytes,
        "point_bytes": plan.point_bytes,
        "network_bytes": {
            "pictures": round(plan.n_images * plan.picture_mb * 1e6),
            "features": plan.feature_bytes * plan.replicas,
            "points": plan.point_bytes * plan.replicas,
        },
        "indexes": [asdict(index) for index in compressions(plan)],
        "limits": [asdict(limit) | {"share": limit.share} for limit in limits(plan)],
    }


def _text(plan: "Plan") -> str:
    from ..plan import compressions, limits

    record = _record(plan)
    hours, rates, network = record["encode_hours"], record["crops_per_second"], record["network_bytes"]
    more = plan.point_bytes / plan.feature_bytes
    points, beside = (f" and points at most {_bytes(plan.point_bytes)} (+{100 * more:.0f} %)", ", points beside")
    if not plan.points:
        points = beside = ""
    lines = [
        f"{counted(plan.n_images, 'picture')}, {counted(plan.n_rows, 'patch', 'patches')} of {plan.model.dim} numbers, "
        f"{counted(plan.replicas, 'copy', 'copies')} on {counted(plan.machines, 'machine')}",
        f"encoder   {plan.encoder}: {plan.model.source}",
        f"keep      features {_bytes(plan.feature_bytes)}{points}, a copy",
        f"encode    CPU {_number(hours['cpu'])} h ({_number(rates['cpu'])} crops/s{beside})",
    ]
    if rates["gpu"]:
        gpu = f"{plan.gpus} x {plan.gpu} {_number(hours['gpu'])} h ({_number(rates['gpu'])} crops/s"
        lines.append(f"          {gpu}; assumed 40 % of peak, as far as the cores can feed them)")
    lines += [
        f"network   {_bytes(network['pictures'])} of pictures in, {_bytes(network['features'])} of features out"
        + (f", {_bytes(network['points'])} of points" if plan.points else ""),
        "",
        f"{'index, one copy':16} {'bytes a patch':>13} {'bytes':>10} {'query, all rows':>16} {'a quarter probed':>17} "
        f"{'recall@10':>10}",
    ]
    for index in compressions(plan):
        times = [f"{_number(t)} s" if t is not None else "-" for t in (index.query_s, index.probed_s)]
        lines.append(
            f"{index.name:16} {index.row_bytes:>13} {_bytes(index.total_bytes):>10} {times[0]:>16} {times[1]:>17} "
            f"{'-' if index.recall is None else f'{index.recall:.3f}':>10}"
        )
    lines += [
        "recall@10: at a million patches; of RaBitQ and PQ the best 400 rows are scored again",
        "",
        f"{'gives way first':26} {'needed':>10} {'there':>10} {'share':>8}",
    ]
    for limit in limits(plan):
        need, have = (f"{_number(value)} {limit.unit}" for value in (limit.need, limit.have))
        advice = f"  -> {limit.advice}" if limit.share > 1 else ""
        lines.append(f"{limit.what:26} {need:>10} {have:>10} {_number(limit.share):>7}x{advice}")
    return "\n".join(lines)


def _number(value: float) -> str:
    """Two digits that matter, or all before the point."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _bytes(n: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if n < 1000:
            return f"{_number(n)} {unit}"
        n /= 1000
    return f"{_number(n)} PB"
