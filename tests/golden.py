"""The oracle numbers in tests/oracles, by the id that they have there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "oracles"


def _by_id(name: str) -> dict[str, Any]:
    cases = json.loads((_FOLDER / name).read_text(encoding="utf-8"))
    return {case["id"]: case for case in cases}


GOLDEN = _by_id("golden.json")
CONVENTIONS = _by_id("conventions.json")
