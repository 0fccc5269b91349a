"""What this processor offers, in the words people use. Asks the system; computes nothing and imports no library."""

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .._platform import has_proc

X86 = {
    "AVX2": {"avx2"},
    "AVX-512": {"avx512f"},
    "VNNI": {"avx_vnni", "avx512_vnni", "avx512vnni"},
    "BF16": {"avx512_bf16"},
    "AMX": {"amx_tile"},
}
ARM = {"NEON": {"neon", "asimd", "advsimd"}, "FP16": {"fphp", "feat_fp16"}, "BF16": {"bf16", "feat_bf16"}}
"""What matters to a network's speed and numbers, and the flags by which systems name it."""
_CAPS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "OV_CPU_MAX_ISA")


@dataclass(frozen=True)
class Processor:
    """A processor as its system describes it."""

    name: str
    offers: tuple[str, ...]
    # those of X86 or ARM that it has, in that order
    lacks: tuple[str, ...]
    # the others
    capped: str
    # variables that keep OpenVINO from using all of it, "NAME=VALUE ..."; mostly empty

    def __str__(self) -> str:
        words = [f"{self.name}: {', '.join(self.offers) or 'nothing known'}"]
        words += [f"without {', '.join(self.lacks)}"] if self.offers and self.lacks else []
        words += [f"held back by {self.capped}"] if self.capped else []
        return "; ".join(words)


def read_processor() -> Processor:
    """This machine's. Flags are known on Linux and macOS; elsewhere there are none."""
    name, flags = _on_linux() if has_proc() else _on_macos()
    known = ARM if platform.machine().lower() in ("arm64", "aarch64") else X86
    offers = tuple(offer for offer, names in known.items() if names & flags)
    lacks = tuple(offer for offer in known if offer not in offers)
    capped = " ".join(f"{variable}={os.environ[variable]}" for variable in _CAPS if os.environ.get(variable))
    return Processor(name or platform.processor() or platform.machine(), offers, lacks, capped)


def _on_linux() -> tuple[str, set[str]]:
    try:
        lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "", set()
    values = {key.strip().lower(): value.strip() for key, _, value in reversed(lines)}
    return values.get("model name", ""), set(f"{values.get('flags', '')} {values.get('features', '')}".split())


def _on_macos() -> tuple[str, set[str]]:
    """Where there is no `sysctl`, as on Windows, nothing is known."""
    try:
        listed = subprocess.run(["sysctl", "-a"], capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return "", set()
    values = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in listed.splitlines())}
    flags = f"{values.get('machdep.cpu.features', '')} {values.get('machdep.cpu.leaf7_features', '')}".lower().split()
    optional = {
        key.rpartition(".")[2] for key, value in values.items() if key.startswith("hw.optional.") and value == "1"
    }
    return values.get("machdep.cpu.brand_string", ""), {*flags, *optional}
