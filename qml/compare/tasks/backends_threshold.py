"""The classifier on many images with the exact noise of a device: the cost of a threshold that is not at 0."""

from functools import partial

from qml.backends import Native, NoisyNative
from qml.compare.task import Model
from qml.compare.tasks import backends_images as images
from qml.compare.tasks.backends_places import DEVICE, PLACES, Place
from qml.data import Dataset, Split, downsample, load_digits, split_dataset

TEST = 0.7  # share of the 1000 images that are tested: the cost of a threshold is seen on hundreds

# Mitigated, an image is 64 circuits: 700 of them take minutes a seed, so that row stands on fewer images alone.
EXACT_PLACES = {
    "ideal": PLACES["ideal"],
    "noisy": Place(
        "exact noise",
        f"trained without noise, tested on the noise model of {DEVICE} in our simulator, exactly",
        Native,
        partial(NoisyNative, DEVICE),
    ),
    "trained": Place(
        "trained with exact noise",
        f"trained and tested on the noise model of {DEVICE} in our simulator, exactly",
        partial(NoisyNative, DEVICE),
        partial(NoisyNative, DEVICE),
    ),
}


def prepare() -> Dataset:
    """Load all images of both digits, averaged to 2x2 pixels and stretched to [0, 1]."""
    whole = load_digits(images.NEGATIVE, images.POSITIVE)
    pixels = downsample(whole.inputs, images.SIDE)
    return Dataset(pixels / pixels.max(), whole.labels)


def split(data: Dataset, seed: int) -> Split:
    """Split off 700 images to test on; 300 are to train and choose on."""
    return split_dataset(data, seed=seed, test=TEST)


def models() -> dict[str, Model[Split]]:
    """Return the classifier without noise, with noise, and trained with noise."""
    about, build = images.LAYERS["qnn"]
    return {
        f"qnn-700-{where}": Model(
            f"QNN, 700 images, {place.title}",
            "quantum",
            f"{about}; {place.recipe}; 700 test images.",
            partial(images.train_at, build, place),
            images.SETTINGS,
        )
        for where, place in EXACT_PLACES.items()
    }
