"""A page whose script is a module."""

import numpy as np

import databench

modular = databench.Analysis("modular", __name__)
modular.description = __doc__


@modular.signals.on("double")
def double(numbers: list[float]) -> None:
    modular.signals.emit("doubled", 2 * np.array(numbers))
