"""The thresholds of all checks, each with its reason."""

from __future__ import annotations

# Sizes, chosen so that all checks together take seconds.
STREAMED_ROWS = 2048  # first rows of a stream, which stand for the rest
BATCH = 64  # examples that the model is called on: a usual batch, and enough for batch statistics
OVERFITTED = 50  # examples to overfit: the number of lecture L
STEPS = 1000  # of an attempt to overfit: 200 epochs of 5 mini-batches, as in lecture S
NUMBERS = 20_000_000  # entries of the inputs that the data checks look at: about a second

# Inputs. Standardized data have deviation 1, images in [0, 1] about 0.3.
LARGEST_DEVIATION = 10.0  # ten times standardized: He and Glorot weights then start 10 times off
SMALLEST_DEVIATION = 0.05  # images that were divided by 255 twice have about 0.001
FARTHEST_MEAN = 3.0  # in deviations: all inputs of a feature then have one sign (lecture C)
SPREAD = 100.0  # between a feature and the median one: the smaller has no say for long
SPARSE = 0.9  # share of zeros at which standardizing would destroy sparsity (lecture L)

# Features.
NARROW = 50  # features below which data are a table, in which no column is constant by nature
CONSTANT_SHARE = 0.25  # of the features of wider data: images have constant borders, MNIST 9 %
COMMON_VALUE = 0.99  # share of one value: such a feature shifts and coincides by chance

# Parts of the data.
PART_RATIO = 2.0  # between the deviations of two parts: sampling gives a few per cent
PART_SHIFT = 1.0  # between the means of two parts, in deviations: sampling gives 1/√n
FEATURE_SHIFT = 3.0  # the same for a single feature, of which there may be thousands
ERRORS = 5.0  # standard errors by which a shift must exceed 0, or random parts raise alarms
OWN_MEAN = 0.01  # in standard errors: parts that share a standardization have means of about 1
COPIED = 0.05  # share of a part's rows that stand in train too: iris and CIFAR-10 have 3 %
REPEATED = 0.05  # share of rows that repeat others: real data sets have less than 1 %
BY_CHANCE = 0.005  # share of rows expected to repeat others: above it copies prove nothing
CONTRADICTED = 0.01  # share of rows that repeat another with another label

# Targets.
RARE = 0.01  # of a class's fair share: so few examples cannot be learned. 1 in 180 of two is 0.011
FAIR = 20  # examples of a fair share, below which a class may be missing by chance
UNSEEN = 0.1  # largest probability among targets that are neither 0 nor 1: a yes is never seen
LARGEST_TARGET = 10.0  # deviation, and mean, of a regression's targets, in the unit of outputs
SMALLEST_TARGET = 0.01  # deviation of targets beside which a fresh network's outputs are noise
UNREACHABLE = 0.1  # of the expected loss, by which the outputs' range may raise the best one
OUTSIDE = 0.01  # share of the targets outside the outputs' range

# Initial loss.
ABOVE = 2.0  # nats above a classifier's expectation: logits of He weights cost about 1
VARIANCES = 30.0  # times the targets' size: 8 was seen of a single output, a wrong start has 1e3
BELOW = 0.5  # of the entropy of class shares, which is the least that one knows without inputs
PENALTY = 10.0  # times the loss: there the penalty is all that is minimized

# Overfitting.
FITTED = 0.01  # of the targets' variance
FALLEN = 0.1  # of the initial loss, for a loss whose minimum nobody knows
RATES = (1e-3, 1e-2, 1e-4)  # of Adam: C's and L's, and one to either side
DIVERGED = 1.0  # times the initial loss: a rate that is merely low ends below it
DEAD = 0.9  # share of a layer's units that are 0 for all examples
SATURATED = 0.02  # slope of an activation, which is 0.5 for half-active ReLUs and 1 for linear
NO_GRADIENT = 1e-7  # of the largest gradient of a layer: below it, float32 rounds it away

# Gradients.
COORDINATES = 6  # of each parameter that are differentiated numerically
GRADIENT_ROWS = 8  # examples of the loss that is differentiated
STEP = 1e-5  # of the difference: near ε^(1/3), where truncation and rounding of float64 balance
SMALLEST_SCALE = 0.1  # of parameters, for biases that start at 0
FINE = 64.0  # divides the step, to tell a kink, whose jump stays, from curvature, which shrinks
GRADIENT_ERROR = 1e-5  # relative: central differences reach 1e-8, a wrong formula is off by 1e-2
ROUNDING = 100.0  # ε of the loss's sums
DECREASE = 1e-6  # of the loss, along −g: small enough for the tangent to hold

# Modes and examples.
SAME = 1e-4  # relative difference of outputs that rounding in float32 leaves
LOSS_CHANGE = 1e-2  # relative, of the loss of a batch with every example twice: a sum doubles
ALIKE = 1e-5  # relative difference of units that rounding leaves within three steps
RUNNING = 0.05  # relative: variances ÷(n − 1) differ from ÷n by 1.6 % for 64 rows
MOVES = 3  # steps in which each parameter must move: a layer behind one of zeros needs two

# Labels and inputs that matter.
NEIGHBOURS = 1000  # examples for the nearest neighbours
PERMUTATIONS = 20  # of labels, against which the true ones are compared
CHANCE = 3.0  # deviations by which true labels must exceed shuffled ones
