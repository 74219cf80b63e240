"""Handwritten 3 against 5: files that the test writes, and the images that ship."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from qml.data import benchmark_set, digit_set, parameters_of, read_idx, read_mnist

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return head + array.astype(np.uint8).tobytes()


def written(
    folder: Path, *, n_train: int = 60, n_test: int = 30, packed: bool = False, digits: Any = range(10)
) -> Path:
    """Write four files of random images, whose digit brightens some pixels."""
    random = np.random.default_rng(0)
    arrays = []
    for size in (n_train, n_test):
        labels = random.choice(np.array(digits), size)
        images = random.integers(0, 100, (size, 28, 28)) + 10 * labels[:, None, None]
        arrays += [images, labels]
    for name, array in zip(NAMES, arrays, strict=True):
        contents = gzip.compress(idx(array)) if packed else idx(array)
        (folder / (f"{name}.gz" if packed else name)).write_bytes(contents)
    return folder


def test_files_are_read_packed_or_not(tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    for folder in (plain, packed):
        folder.mkdir()
    read = [read_mnist(written(folder, packed=folder is packed)) for folder in (plain, packed)]
    for part, size in (("train", 60), ("test", 30)):
        assert read[0][part][0].shape == (size, 28, 28)
        for one, other in zip(read[0][part], read[1][part], strict=True):
            np.testing.assert_array_equal(one, other)
    (plain / NAMES[0]).rename(plain / "train-images.idx3-ubyte")  # a name that some archives have
    np.testing.assert_array_equal(read_mnist(plain)["train"][0], read[0]["train"][0])


def test_components_are_those_of_scikit_learn(tmp_path: Path) -> None:
    folder = written(tmp_path, n_train=300)
    read = read_mnist(folder)
    scaler, stream = StandardScaler(), np.random.RandomState(42)
    rows, others = (images[np.isin(digits, (3, 5))].reshape(-1, 784) for images, digits in read.values())
    rows, others = scaler.fit_transform(rows.astype(float)), scaler.transform(others.astype(float))
    sets = {size: benchmark_set("mnist_pca", size, folder=folder) for size in range(2, 6)}
    for size, made in sets.items():
        model = PCA(size, svd_solver="randomized", random_state=stream)  # which it took for so many pixels until 1.4
        wanted = [model.fit_transform(rows), model.transform(others)]
        signs = np.sign(np.take_along_axis(wanted[0], np.abs(wanted[0]).argmax(0)[None], 0))
        for ours, theirs in zip((made.train, made.test), wanted, strict=True):
            np.testing.assert_allclose(ours.inputs, theirs * signs, atol=1e-9)
    digits = read["train"][1]
    np.testing.assert_array_equal(sets[2].train.labels, np.where(digits[np.isin(digits, (3, 5))] == 5, 1.0, -1.0))


def test_components_of_few_images_are_exact() -> None:
    made = digit_set("pca", 4)
    whole = digit_set("pca", 20)
    np.testing.assert_array_equal(made.test.inputs, whole.test.inputs[:, :4])
    train = made.train.inputs.numpy()
    np.testing.assert_allclose(np.corrcoef(train.T), np.eye(4), atol=1e-12)
    assert (np.take_along_axis(train, np.abs(train).argmax(0)[None], 0) > 0).all()


def test_the_sample_is_drawn_with_replacement_and_again_the_same(tmp_path: Path) -> None:
    folder = written(tmp_path, n_train=300, n_test=100)
    whole, sample = digit_set("pca", 3, folder=folder), digit_set("pca-", 3, folder=folder)
    assert sample.train.inputs.shape == sample.test.inputs.shape == (250, 3)
    known = {tuple(row) for row in whole.train.inputs.tolist()}
    assert {tuple(row) for row in sample.train.inputs.tolist()} <= known
    np.testing.assert_array_equal(sample.train.inputs, digit_set("pca-", 3, folder=folder).train.inputs)


def test_coarse_grains_are_grouped_and_standardised(tmp_path: Path) -> None:
    made = digit_set("cg", 4, folder=written(tmp_path, n_train=300))
    labels = made.train.labels.numpy()
    assert (np.diff(labels) >= 0).all()  # all 3s before all 5s
    rows = made.train.inputs.numpy()
    np.testing.assert_allclose(rows.mean(0), 0.0, atol=1e-12)
    np.testing.assert_allclose(rows.std(0), 1.0, atol=1e-12)
    assert made.test.inputs.shape[1] == 16
    assert digit_set("cg", 32, folder=tmp_path).train.inputs.shape[1] == 1024


def test_the_images_that_ship() -> None:
    for kind, size, width in (("pca", 292, 7), ("pca-", 250, 7), ("cg", 292, 16)):
        made = benchmark_set(f"digits_{kind}", 4 if kind == "cg" else width)
        assert made.train.inputs.shape == (size, width)
        assert made.test.inputs.shape == (73, width)
        assert set(made.test.labels.tolist()) == {-1.0, 1.0}
    assert parameters_of("digits_cg") == (4, 8)
    assert parameters_of("mnist_cg") == (4, 8, 16, 32)
    assert len(np.unique(digit_set("pca-", 4).train.inputs.numpy(), axis=0)) == 250  # no image twice


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "does not begin like one"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x01\x00", "unsigned bytes"),
        (b"\x00\x00\x08\x03\x00\x00", "does not begin like one"),
        (idx(np.zeros(9))[:-1], "must hold 9 numbers, .* holds 8"),
        (gzip.compress(idx(np.zeros(9)), mtime=0)[:-4], "must be a whole gzip file"),
    ],
    ids=["empty", "type", "short head", "short", "gzip"],
)
def test_broken_files_are_refused(tmp_path: Path, contents: bytes, message: str) -> None:
    (tmp_path / "file").write_bytes(contents)
    with pytest.raises(ValueError, match=message):
        read_idx(tmp_path / "file")


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="`folder` must be a folder"):
        read_mnist(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"must hold train-images-idx3-ubyte or"):
        digit_set("pca", 2, folder=tmp_path)
    with pytest.raises(FileNotFoundError, match="`path` must be a file"):
        read_idx(tmp_path / "nothing")
    one, few, odd = (tmp_path / name for name in ("one", "few", "odd"))
    for folder in (one, few, odd):
        folder.mkdir()
    written(one, digits=[3, 4])
    written(few, n_train=20)
    written(odd)
    with pytest.raises(ValueError, match="must hold images of both 3 and 5, but the train part"):
        digit_set("cg", 4, folder=one)
    with pytest.raises(ValueError, match="at least 20 training images"):
        digit_set("pca", 2, folder=few)
    (odd / NAMES[1]).write_bytes(idx(np.zeros(7)))
    with pytest.raises(ValueError, match="one digit an image, but the train part"):
        digit_set("pca", 2, folder=odd)
    with pytest.raises(ValueError, match="must be one of 4, 8 for cg of the images that ship, but is 16"):
        digit_set("cg", 16)
    with pytest.raises(ValueError, match="`kind` must be one of"):
        digit_set("mean", 4)


@pytest.mark.plain
def test_paths_of_another_type_are_refused() -> None:
    for read in (read_idx, read_mnist):
        with pytest.raises(TypeError, match="must be a path"):
            read(3)
