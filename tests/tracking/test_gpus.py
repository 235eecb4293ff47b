"""GPUs are read through NVIDIA's library, by its own interface; without it nothing fails.

The machine that runs the tests has no GPU, so a library with that interface is compiled, with
two GPUs in it of which the second tells less.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from loopline.tracking import nvml
from loopline.tracking.environment import machine as environment
from loopline.tracking.nvml import GpuReading, load_nvml, open_nvml
from loopline.tracking.system_readings import Counters, Machine

if TYPE_CHECKING:
    from pathlib import Path

#: Signatures and structures as nvml.h declares them; 0 is NVML_SUCCESS, 3 NVML_ERROR_NOT_SUPPORTED.
LIBRARY = r"""
#include <string.h>
typedef struct { int index; } *device;
typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned int gpu, memory; } utilization;
static struct { int index; } devices[2] = {{0}, {1}};
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, device *found) {
  *found = (device)&devices[index]; return 0; }
int nvmlSystemGetDriverVersion(char *text, unsigned int room) {
  strncpy(text, "550.54.15", room); return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 12040; return 0; }
int nvmlDeviceGetName(device d, char *text, unsigned int room) {
  strncpy(text, d->index ? "Tesla T4" : "NVIDIA A100-SXM4-40GB", room); return 0; }
int nvmlDeviceGetMemoryInfo(device d, memory *found) {
  found->total = 40000000000ULL; found->used = 10000000000ULL + d->index;
  found->free = found->total - found->used; return 0; }
int nvmlDeviceGetUtilizationRates(device d, utilization *found) {
  found->gpu = 87; found->memory = 12; return d->index ? 3 : 0; }
int nvmlDeviceGetPowerUsage(device d, unsigned int *milliwatts) {
  *milliwatts = 300500; return d->index ? 3 : 0; }
int nvmlDeviceGetEnforcedPowerLimit(device d, unsigned int *milliwatts) {
  *milliwatts = 400000; return d->index ? 3 : 0; }
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.fail("Making a library with NVML's interface takes gcc: tools/system-packages.sh")
    folder = tmp_path_factory.mktemp("nvml")
    (folder / "nvml.c").write_text(LIBRARY)
    target = folder / nvml.LIBRARY
    subprocess.run([compiler, "-shared", "-fPIC", "-o", target, folder / "nvml.c"], check=True)
    return target


@pytest.mark.deep
def test_what_the_driver_says_is_read_and_what_it_does_not_say_is_none(library: Path) -> None:
    gpus = load_nvml(library)
    assert gpus is not None
    assert len(gpus) == 2
    assert (gpus.driver, gpus.cuda) == ("550.54.15", "12.4")
    assert [gpus.name(index) for index in range(2)] == ["NVIDIA A100-SXM4-40GB", "Tesla T4"]
    assert gpus.read(0) == GpuReading(
        memory_used_bytes=10_000_000_000,
        memory_total_bytes=40_000_000_000,
        utilization=87,
        power_watts=300.5,
        power_limit_watts=400.0,
    )
    assert gpus.read(1) == GpuReading(
        memory_used_bytes=10_000_000_001, memory_total_bytes=40_000_000_000
    )


@pytest.mark.deep
def test_gpus_become_metrics_under_mlflows_names(library: Path) -> None:
    nothing = Counters(0, 0, 0, 0)
    values = Machine(None, load_nvml(library)).read(nothing, nothing, nothing)
    assert {name: value for name, value in values.items() if name.startswith("gpu")} == {
        "gpu_0_memory_usage_megabytes": 10_000.0,
        "gpu_0_memory_usage_percentage": 25.0,
        "gpu_0_utilization_percentage": 87.0,
        "gpu_0_power_usage_watts": 300.5,
        "gpu_0_power_usage_percentage": 75.12,
        "gpu_1_memory_usage_megabytes": 10_000.0,
        "gpu_1_memory_usage_percentage": 25.0,
    }


@pytest.mark.deep
def test_gpus_stand_in_a_runs_environment(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "open_nvml", lambda: load_nvml(library))
    found = environment.read_machine()
    assert [gpu.name for gpu in found.gpus] == ["NVIDIA A100-SXM4-40GB", "Tesla T4"]
    assert found.gpus[0].memory_bytes == 40_000_000_000
    assert (found.gpu_driver, found.cuda) == ("550.54.15", "12.4")


def test_without_a_driver_there_is_nothing_and_nothing_fails(tmp_path: Path) -> None:
    assert load_nvml(tmp_path / "none.so") is None
    (tmp_path / "broken.so").write_text("no library")
    assert load_nvml(tmp_path / "broken.so") is None
    if sys.platform == "linux" and not any(map(os.path.exists, nvml._DEVICES)):
        assert open_nvml() is None
