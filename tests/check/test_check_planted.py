"""Each fault, planted in an otherwise right file, is diagnosed: exactly that, and nothing else."""

from __future__ import annotations

import importlib.util
import types

import planted
import pytest

from unrolled.check import MESSAGES, check_module

NUMPY = [*planted.FORWARD, *planted.BACKWARD, *planted.LOSS, *planted.WHOLE]
FOLLOWING = {"not-checked"}  # says no more than that something else must be mended first


@pytest.fixture
def module_of(tmp_path):
    """Import one module made of the solution's two files, as a teacher's own test would."""

    def make(layers: str, model: str = "", profile: str = "numpy") -> types.ModuleType:
        lines = [line for line in model.split("\n") if not line.startswith("from ..")]
        helper = "from unrolled.check.plain import affine_backward, affine_forward\n"
        path = tmp_path / "student.py"
        path.write_text((helper * (profile == "numpy")) + layers + "\n".join(lines), "utf-8")
        spec = importlib.util.spec_from_file_location("student", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return make


def text(name: str) -> str:
    return (planted.SOLUTION / name).read_text(encoding="utf-8")


def test_right_solution_passes_without_a_word(module_of):
    report = check_module(module_of(text(planted.LAYERS), text(planted.MODEL)))
    assert {f.status for f in report.functions} == {"pass"}
    assert [d for f in report.functions for d in f.diagnoses] == []
    assert (report.passed, report.failed, report.exit_status) == (15, 0, 0)
    assert max(f.max_rel_error for f in report.functions) < 1e-8


@pytest.mark.parametrize("fault", NUMPY, ids=lambda fault: fault.id)
def test_fault_is_diagnosed(fault, module_of):
    if fault.file == planted.MODEL:
        module = module_of(text(planted.LAYERS), planted.planted(fault))
    else:
        module = module_of(planted.planted(fault))
    results = {f.name: f for f in check_module(module).functions}
    mine = results.pop(fault.function)
    assert (mine.status, [d.code for d in mine.diagnoses]) == (fault.status, [fault.code])
    others = {d.code for f in results.values() for d in f.diagnoses}
    assert others <= FOLLOWING
    for name, result in results.items():
        partner = fault.function.replace("_forward", "_backward")
        allowed = {"pass", "missing"} | ({"error"} if name == partner else set())
        assert result.status in allowed, name


@pytest.mark.peers
@pytest.mark.parametrize("fault", planted.TORCH, ids=lambda fault: fault.id)
def test_torch_fault_is_diagnosed(fault, module_of):
    layers, model = text(planted.TORCH_LAYERS), ""
    if fault.file == planted.TORCH_MODEL:
        model = planted.planted(fault)
    else:
        layers = planted.planted(fault)
    report = check_module(module_of(layers, model, "torch"))
    assert report.profile == "torch"
    results = {f.name: f for f in report.functions}
    mine = results.pop(fault.function)
    assert (mine.status, [d.code for d in mine.diagnoses]) == (fault.status, [fault.code])
    assert {d.code for f in results.values() for d in f.diagnoses} == set()


@pytest.mark.peers
def test_right_torch_solution_passes_without_a_word(module_of):
    report = check_module(module_of(text(planted.TORCH_LAYERS), text(planted.TORCH_MODEL), "torch"))
    assert report.profile == "torch"
    assert {f.status for f in report.functions} == {"pass"}
    assert [d for f in report.functions for d in f.diagnoses] == []


def test_more_than_fifteen_diagnoses_are_planted():
    codes = {fault.code for fault in (*NUMPY, *planted.TORCH)}
    assert len(codes) > 40
    assert codes <= set(MESSAGES)
