"""The geometry of a convolution: strides, padding, dilation and sizes."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Geometry"]


class Geometry(NamedTuple):
    """Geometry of a convolution: for each spatial axis one entry. It is hashable."""

    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]  # per axis, number of zeros before and behind
    dilation: tuple[int, ...]  # distance between neighbouring kernel entries
    inputs: tuple[int, ...]  # spatial shape of x
    kernel: tuple[int, ...]  # spatial shape of w

    @property
    def reach(self) -> tuple[int, ...]:
        """Spatial extent of the kernel, including the gaps of dilation."""
        return tuple(
            (size - 1) * step + 1 for size, step in zip(self.kernel, self.dilation, strict=True)
        )

    @property
    def outputs(self) -> tuple[int, ...]:
        """Spatial shape of y."""
        return tuple(
            (size + sum(pad) - reach) // stride + 1
            for size, pad, reach, stride in zip(
                self.inputs, self.padding, self.reach, self.strides, strict=True
            )
        )
