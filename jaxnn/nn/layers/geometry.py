"""Where the windows of a convolution lie."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Geometry"]


class Geometry(NamedTuple):
    """Per spatial axis, and hashable."""

    strides: tuple[int, int]
    padding: tuple[tuple[int, int], ...]  # per axis, zeros before and behind
    dilation: tuple[int, int]  # distance of neighbouring kernel entries
    inputs: tuple[int, int]  # spatial shape of x
    kernel: tuple[int, int]  # spatial shape of w

    @property
    def reach(self) -> tuple[int, int]:
        """Spatial extent of the kernel with its holes."""
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
