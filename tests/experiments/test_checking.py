"""`--check` and `--strict` of the main experiment, from the outside of its configuration."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import jaxnn
from experiments import checking, digits

OPTIONS = checking.CheckOptions


def ended(options):
    """The exit code of the checks, made of two results without their cost."""
    with pytest.raises(SystemExit) as end:
        checking.check_before(options, None, None, 0)
    return end.value.code


@pytest.mark.parametrize(("failed", "strict", "code"), [(1, True, 1), (1, False, 0), (0, True, 0)])
def test_the_exit_code(monkeypatch, failed, strict, code):
    report = SimpleNamespace(failed=("a check",) * failed)
    monkeypatch.setattr(jaxnn.inspect, "check", lambda recipe, data, key: report)
    assert ended(OPTIONS(check=True, strict=strict)) == code


def test_strict_alone_is_refused():
    with pytest.raises(ValueError, match="strict goes with check"):
        checking.check_before(OPTIONS(strict=True), None, None, 0)
    checking.check_before(OPTIONS(), None, None, 0)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp", "convnet"])
def test_the_digits_have_a_clean_bill(capsys, model):
    with pytest.raises(SystemExit) as end:
        digits.main(digits.Config(model=model, check=True, strict=True))
    assert end.value.code == 0
    assert " 0 failed" in capsys.readouterr().out
