"""List the experiments.

    python -m experiments

prints the name of every program with the first line of its docstring.
"""

from __future__ import annotations

import ast
from pathlib import Path

from experiments.program import surviving_output

__all__ = ["main", "programs"]

ROOT = Path(__file__).parent


def programs() -> dict[str, str]:
    """Return the first line of each program's docstring by its name, without importing any."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        if path != Path(__file__) and any(map(_runs_as_program, tree.body)):
            parts = path.relative_to(ROOT.parent).with_suffix("").parts
            name = ".".join(parts).removesuffix(".__main__")
            found[name] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def _runs_as_program(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and ast.unparse(statement.test) == "__name__ == '__main__'"


def main() -> None:
    """Print the list."""
    found = programs()
    width = max(map(len, found))
    with surviving_output():
        for name, line in found.items():
            print(f"python -m {name:{width}}  {line}")
        print("\nAdd --help to any of them for its options.")


if __name__ == "__main__":
    main()
