"""The third of the students' classes that the hints were not tuned to, drawn at random.

The names were drawn when the classes were written, before the hints were:
``numpy.random.default_rng(17).choice(66, 22, replace=False)``.
"""

HELD_OUT = frozenset(
    {
        "AttentionKeysConstant",
        "AttentionWithoutRoot",
        "AttentionWithoutRootAnywhere",
        "BilinearOneProduct",
        "GLUGateWithoutGradient",
        "HalfSquareTwice",
        "LeakyOneSlope",
        "LeakyOtherSlope",
        "LogCoshRows",
        "LogSoftmaxConstant",
        "PairMaximumOther",
        "ProductOverwritten",
        "ResidualOfSum",
        "RootMeanSquareSquared",
        "SlidingLastLeftOut",
        "StandardizeOtherAxis",
        "StandardizeSum",
        "StandardizeWithoutProjection",
        "SwishAtOutput",
        "SwishGateConstant",
        "UnitLengthAlongInput",
        "UnitLengthConstant",
    }
)
