"""The geometry of a convolution: strides, padding, dilation and sizes."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Geometry"]


class Geometry(NamedTuple):
    """Geometry of a convolution: for each spatial axis one entry. It is hashable."""

    strides: tuple[int, int]
    padding: tuple[tuple[int, int], ...]  # per axis, number of zeros before and behind
    dilation: tuple[int, int]  # distance between neighbouring kernel entries
    inputs: tuple[int, int]  # spatial shape of x
    kernel: tuple[int, int]  # spatial shape of w

    @property
    def reach(self) -> tuple[int, int]:
        """Spatial extent of the kernel, including the gaps of dilation."""
        return (
            (self.kernel[0] - 1) * self.dilation[0] + 1,
            (self.kernel[1] - 1) * self.dilation[1] + 1,
        )

    @property
    def outputs(self) -> tuple[int, int]:
        """Spatial shape of y."""
        rows, columns = (
            (size + sum(pad) - reach) // stride + 1
            for size, pad, reach, stride in zip(
                self.inputs, self.padding, self.reach, self.strides, strict=True
            )
        )
        return rows, columns
