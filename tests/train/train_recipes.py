"""The recipe that the tests of training vary."""

from __future__ import annotations

import jaxnn


def make_recipe(knobs, **more):
    """Dropout, L2 and Adam, each with a knob."""
    return jaxnn.Recipe(
        model=jaxnn.nn.MLP((16, 8, 3), dropout_rate=knobs["dropout"]),
        loss=jaxnn.losses.softmax_cross_entropy,
        optimizer=jaxnn.optim.adam(knobs["lr"]),
        regularizer=jaxnn.regularizers.l2(knobs["l2"]),
        **more,
    )
