"""What a collection of any size takes: bytes, hours, seconds, and what gives way first. Arithmetic; opens nothing.

Every constant stands in this file's head with its source. What was measured was measured on two cores of a shared
AMD EPYC server, November 2026; what is scaled from that by operations, or assumed, says so.
"""

from dataclasses import dataclass

from .errors import PatchseekError
from .points import KEPT, POINT_BYTES

IMAGES_PER_SHARD = 2048
"""Pictures in a file of features after `compact`, and in one of points; each file is mapped into memory."""
MAPPED_FILES = 65_530
"""Maps that Linux gives a process by default (vm.max_map_count); the limit of open files patchseek raises itself."""
CATALOGUE_BYTES = 161
"""A picture in the catalogue: 4,001 bytes a picture less 3,840 of features (benchmarks/scale.py)."""
GPU_SHARE = 0.4
"""Assumed: the share of a GPU's peak that encoding reaches. No GPU was measured."""
FEED_MS = 25.4
"""Milliseconds of one core to read, decode and cut a picture of 1 megapixel (benchmarks/encode.py, 0.1 + 3.7 + 21.6)
into patches of 224 px; larger patches take longer."""
POINTS_MS = 43.0
"""Milliseconds of one core to find and code the points of a picture of 1 megapixel (benchmarks/cpus.py, in bfloat16);
their number makes no difference."""
PROBED = 0.25
"""The share of the clusters that an index with clusters reads by default."""

_VIT_B_GMACS = 17.5
_VIT_B_CROPS = 26.0  # a second, bf16, measured: ViT-B/16 at 224 px, benchmarks/encode.py
_MONTH_HOURS = 720.0


@dataclass(frozen=True)
class Model:
    """An encoder's cost."""

    dim: int
    gmacs: float
    # thousand million multiply-adds a crop
    crops: float
    # a second on the two measured cores, bf16
    source: str


def _scaled(dim: int, gmacs: float, what: str) -> Model:
    return Model(dim, gmacs, _VIT_B_CROPS * _VIT_B_GMACS / gmacs, f"{what}; scaled by operations from ViT-B/16, 26/s")


# Multiply-adds of a ViT of width d with n tokens: (12 n d^2 + 2 n^2 d) a layer, which gives the figures of ViT-L.
MODELS = {
    "embedded": Model(1280, 0.4, 592.0, "EfficientNet-Lite0, 224 px; measured, benchmarks/encode.py, 1 MP"),
    "siglip": _scaled(1024, 191.0, "ViT-L/16, 384 px"),
    "dinov2": _scaled(1024, 507.0, "ViT-L/14, 518 px"),
    "clip": _scaled(1024, 191.0, "ViT-L/14, 336 px"),
}

GPUS = {"l4": 121e12, "a100": 312e12, "h100": 989e12}
"""Peak bf16 operations a second, dense, by the makers' data sheets; a multiply-add is two."""


@dataclass(frozen=True)
class Plan:
    """What is planned for. A machine is what was measured, two cores, times cores / 2."""

    n_images: int
    encoder: str = "embedded"
    machines: int = 1
    cores: int = 2
    # a machine
    gpus: int = 0
    # in all
    gpu: str = "a100"
    replicas: int = 1
    regions: int = 30
    points: int = KEPT
    # kept of a picture at most; 0 for a collection without
    bandwidth: float = 25.0
    # GB/s that a machine reads features at: what exact search reached
    memory: float = 256.0
    # GB a machine
    disk: float = 8000.0
    # GB a machine
    network: float = 10.0
    # Gbit/s a machine
    picture_mb: float = 0.5
    # MB of a picture's file

    def __post_init__(self) -> None:
        if self.encoder not in MODELS:
            raise PatchseekError(f"no cost is known of encoder {self.encoder!r}; one of: {', '.join(MODELS)}")
        if self.gpu not in GPUS:
            raise PatchseekError(f"no peak is known of GPU {self.gpu!r}; one of: {', '.join(GPUS)}")
        for name in ("n_images", "machines", "cores", "replicas", "regions", "bandwidth", "memory", "disk", "network"):
            if not 0 < getattr(self, name) < float("inf"):
                raise PatchseekError(f"{name} must be more than 0, found {getattr(self, name)}")
        if self.points < 0:
            raise PatchseekError(f"points must be 0 or more, found {self.points}")

    @property
    def n_rows(self) -> int:
        """Features in all."""
        return self.n_images * self.regions

    @property
    def model(self) -> Model:
        """The encoder's cost."""
        return MODELS[self.encoder]

    @property
    def feature_bytes(self) -> int:
        """One copy of all features, float16."""
        return 2 * self.n_rows * self.model.dim

    @property
    def point_bytes(self) -> int:
        """One copy of all points at most: a picture that shows little has fewer."""
        return self.n_images * self.points * POINT_BYTES

    @property
    def kept_bytes(self) -> int:
        """One copy of features and points."""
        return self.feature_bytes + self.point_bytes

    @property
    def points_ms(self) -> float:
        """Milliseconds of one core for the points of a picture."""
        return POINTS_MS if self.points else 0.0


@dataclass(frozen=True)
class Compression:
    """An index at one compression, one copy."""

    name: str
    row_bytes: int
    total_bytes: int
    query_s: float | None
    # every row read, on all machines; None where no ratio was measured
    probed_s: float | None
    # a quarter of the clusters read; each row then takes 8 bytes more
    recall: float | None
    # share of exact search's best ten pictures that are found, as measured at a million patches; None where it was not


def compressions(plan: Plan) -> list[Compression]:
    """The indexes worth comparing, largest first.

    Seconds are those of exact search times the ratio that benchmarks/indexes.py measured for one core and 150,000 rows
    (SQ8 1.77, PQ64x4fs 0.12, RaBitQ 0.41, of features of 1280 numbers). 4-bit product codes are scaled by their number,
    whatever the feature's; the rest has no figure. All of it is for codes that lie in memory. Recall is that of the
    same benchmark at 1,000,000 rows, the best 400 rows of RaBitQ and product codes scored again from the features; at
    5 M it is less (0.83 to 0.87).
    """
    dim = plan.model.dim
    exact_s = plan.feature_bytes / (plan.bandwidth * 1e9 * plan.machines)
    half, code = dim // 2, 0.12 / 64 * 1280 / dim  # times exact search for each 4-bit code of a row
    rows: list[tuple[str, int, float | None, float | None]] = [
        ("exact float16", 2 * dim, 1.0, 1.0),
        ("RaBitQ4", dim // 2 + 20, None, None),
        ("SQ8", dim, 1.77, 0.945),
        (f"PQ{half}x4fs", half // 2, code * half, None),
        ("RaBitQ2", dim // 4 + 20, None, None),
        ("RaBitQ", dim // 8 + 8, 0.41, 0.990),
        ("PQ256x4fs", 128, code * 256, 0.975),
        ("PQ64x4fs", 32, code * 64, 0.818),
    ]
    return [
        Compression(
            name,
            size,
            size * plan.n_rows,
            None if ratio is None else exact_s * ratio,
            None if ratio is None or size == 2 * dim else exact_s * ratio * PROBED,
            recall,
        )
        for name, size, ratio, recall in sorted(rows, key=lambda row: -row[1])
    ]


def crops_per_second(plan: Plan) -> tuple[float, float]:
    """(CPUs of all machines, all GPUs; 0 without), points found beside. CPUs find them always.

    GPUs: peak x 40 %, which is an assumption, while fed fast enough.
    """
    core_s = 2 * plan.regions / plan.model.crops + plan.points_ms / 1000  # a picture
    cpu = plan.machines * plan.cores * plan.regions / core_s
    gpu = plan.gpus * GPUS[plan.gpu] * GPU_SHARE / (2e9 * plan.model.gmacs)
    return cpu, min(gpu, feed_per_second(plan) * plan.regions) if gpu else 0.0


def feed_per_second(plan: Plan) -> float:
    """Pictures of 1 megapixel that all cores decode, cut and find points in a second: GPUs are not fed faster."""
    return plan.machines * plan.cores * 1000 / (FEED_MS + plan.points_ms)


@dataclass(frozen=True)
class Limit:
    """A thing that may give way."""

    what: str
    need: float
    have: float
    unit: str
    advice: str

    @property
    def share(self) -> float:
        """Need as a share of what there is; above 1 it does not fit."""
        return self.need / self.have


def limits(plan: Plan) -> list[Limit]:
    """What is needed against what there is on one machine (copies spread evenly), the tightest first.

    Encoding is held against 30 days, exact search against 1 s, mapped files against Linux's default.
    """
    share = plan.replicas / plan.machines
    features, codes = plan.feature_bytes * share / 1e9, compressions(plan)[-1]
    disk = (plan.kept_bytes + plan.n_images * CATALOGUE_BYTES) * share / 1e9
    files = -(-plan.n_images * share // IMAGES_PER_SHARD) * (2 if plan.points else 1)
    cpu, gpu = crops_per_second(plan)
    moved = plan.n_images * plan.picture_mb / 1e3 + plan.kept_bytes * plan.replicas / 1e9
    exact_s = plan.feature_bytes / (plan.bandwidth * 1e9 * plan.machines)
    found = [
        Limit(
            "encoding", plan.n_rows / max(cpu, gpu) / 3600, _MONTH_HOURS, "h", "more machines, GPUs, another encoder"
        ),
        Limit("time of an exact query", exact_s, 1.0, "s", "a compressed index"),
        Limit("memory for exact search", features, plan.memory, "GB", "a compressed index, or more machines"),
        Limit("memory for PQ64x4fs", codes.total_bytes * share / 1e9, plan.memory, "GB", "more machines"),
        Limit("disk", disk, plan.disk, "GB", "more machines or disks; twice that to change the encoder"),
        Limit(
            "network",
            moved * 8 / (plan.network * plan.machines) / 3600,
            _MONTH_HOURS,
            "h",
            "encode where the pictures lie",
        ),
        Limit(
            "mapped files",
            files,
            MAPPED_FILES,
            "files",
            "run `patchseek compact`, raise vm.max_map_count, or more machines",
        ),
    ]
    return sorted(found, key=lambda limit: -limit.share)
