"""Whether the data can be trained on at all."""

from __future__ import annotations

from jaxnn.data.batches import size
from jaxnn.inspect.checks.check import Finding, failed, passed, standing
from jaxnn.inspect.checks.subject import Subject

__all__ = ["data_form"]


@standing("data", "jaxnn.data: shapes, NaN, Inf and weights of every part")
def data_form(subject: Subject) -> Finding:
    """Check that every part holds finite numbers, in arrays of one length and of one layout."""
    if subject.problem:
        return failed(subject.problem, remedy="mend the data before anything else")
    sizes = {name: size(part) for name, part in subject.parts.items()}
    listing = ", ".join(f"{count:,} in {name}" for name, count in sizes.items())
    return passed(f"finite numbers in arrays that go together, {listing}", **sizes)
