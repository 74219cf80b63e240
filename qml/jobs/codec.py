"""Submissions and results as bytes (compressed safetensors, never pickle), and a test whether two submissions agree."""

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from qml.jobs.errors import StoreError
from qml.jobs.plain import as_array, as_json, name_of
from qml.jobs.submission import Pub, PubResult, Submission

HEADER = "qml"
ZLIB_LEVEL = 1  # the fastest: bits of shots shrink to an eighth already

# Angles of a run that is taken up again may differ by the rounding of float32 sums with another number of threads.
# An expectation value then differs by at most the number of gates times this: far below any shot noise.
ANGLE_TOLERANCE = 1e-6


def pack_submission(submission: Submission) -> bytes:
    """Return a whole submission as bytes; equal circuits are stored once."""
    circuits: dict[bytes, int] = {}
    arrays: dict[str, np.ndarray] = {}
    pubs = []
    for number, pub in enumerate(submission.pubs):
        place = circuits.setdefault(pub.circuit, len(circuits))
        arrays[f"values.{number}"] = pub.values
        pubs.append({"circuit": place, "observables": _plain_sums(pub), "shots": pub.shots, "key": pub.key})
    for circuit, place in circuits.items():
        arrays[f"circuit.{place}"] = np.frombuffer(circuit, np.uint8)
    return pack(
        arrays,
        {"kind": submission.kind, "options": dict(submission.options), "pubs": pubs, "overhead": submission.overhead},
    )


def unpack_submission(blob: bytes) -> Submission:
    """Rebuild the submission that `pack_submission` packed.

    Raises:
        StoreError: bytes that are damaged.
    """
    with _damage_in_words():
        arrays, header = unpack(blob)
        pubs = tuple(
            Pub(
                arrays[f"circuit.{pub['circuit']}"].tobytes(),
                arrays[f"values.{number}"],
                tuple(tuple((label, float(weight)) for label, weight in terms) for terms in pub["observables"]),
                pub["shots"],
                pub["key"],
            )
            for number, pub in enumerate(header["pubs"])
        )
        return Submission(header["kind"], pubs, header["options"], header.get("overhead", 1))


def pack_results(results: Any) -> bytes:
    """Return the results of pubs as bytes, whatever they contain.

    Complex arrays keep both parts. Content without a form in JSON or in arrays of numbers is kept as text: metadata
    that are no JSON, arrays of objects, objects that are no results at all.
    """
    arrays: dict[str, np.ndarray] = {}
    metadata, texts, complex_names = [], {}, []
    for number, result in enumerate(_listed(results)):
        said = result.metadata
        metadata.append(as_json(said if isinstance(said, Mapping) else {"metadata": said}))
        named = result.arrays if isinstance(result.arrays, Mapping) else {"arrays": result.arrays}
        for name, value in named.items():
            key, array = f"{number}.{name_of(name)}", as_array(value)
            if array.dtype.kind == "U":
                texts[key] = str(array)
                continue
            if array.dtype.kind == "c":
                complex_names.append(key)
                array = np.stack([np.real(array), np.imag(array)], axis=-1)
            arrays[key] = array
    return pack(arrays, {"metadata": metadata, "texts": texts, "complex": complex_names})


def unpack_results(blob: bytes) -> list[PubResult]:
    """Rebuild the results that `pack_results` packed; content that was kept as text is an array of one text.

    Raises:
        StoreError: bytes that are damaged.
    """
    with _damage_in_words():
        arrays, header = unpack(blob)
        texts = {key: np.array(text) for key, text in header.get("texts", {}).items()}
        complex_names = header.get("complex", ())
        split: list[dict[str, np.ndarray]] = [{} for _ in header["metadata"]]
        for key, array in (arrays | texts).items():
            number, _, name = key.partition(".")
            split[int(number)][name] = array[..., 0] + 1j * array[..., 1] if key in complex_names else array
        pairs = zip(split, header["metadata"], strict=True)
        return [PubResult(named, dict(metadata)) for named, metadata in pairs]


def _listed(results: Any) -> list[PubResult]:
    """Return the results as a list; an object that is no result becomes one whose array is its text."""
    single = not isinstance(results, Iterable) or isinstance(results, str | bytes | Mapping)
    listed = [results] if single else list(results)
    return [item if isinstance(item, PubResult) else PubResult({"answer": as_array(item)}) for item in listed]


def _plain_sums(pub: Pub) -> list[list[tuple[str, float]]]:
    """Return the observables with weights that JSON takes; int and float stay as they are."""
    kinds = (int, float)
    return [[(label, w if type(w) in kinds else float(w)) for label, w in terms] for terms in pub.observables]


def pack(arrays: Mapping[str, np.ndarray], header: Any) -> bytes:
    """Return named arrays and a header of JSON values as compressed bytes."""
    from safetensors.numpy import save

    whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    return zlib.compress(save(whole, {HEADER: json.dumps(header)}), ZLIB_LEVEL)


def unpack(blob: bytes) -> tuple[dict[str, np.ndarray], Any]:
    """Return the arrays and the header that `pack` packed.

    Raises:
        StoreError: bytes that are damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    with _damage_in_words():
        try:
            plain = zlib.decompress(blob)
            length = int.from_bytes(plain[:8], "little")
            header = json.loads(json.loads(plain[8 : 8 + length])["__metadata__"][HEADER])
            return load(plain), header
        except (zlib.error, SafetensorError) as error:
            raise ValueError(str(error)) from error


@contextmanager
def _damage_in_words() -> Iterator[None]:
    try:
        yield
    except (AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise damaged(error) from error


def damaged(error: object) -> StoreError:
    """Return the error for a record that cannot be read."""
    return StoreError(f"A record is damaged ({error}). The other records of the file can still be read.")


def fingerprint(submission: Submission) -> str:
    """Hash a submission without its values: its kind and options, and the key, shots and rows of each pub.

    The option `qubits`, the device's qubits that a compiled circuit is on, counts only where the compiled bytes do.
    """
    placed = all(pub.key for pub in submission.pubs)
    options = {name: value for name, value in submission.options.items() if not (placed and name == "qubits")}
    lines: list[Any] = [submission.kind, options]
    for pub in submission.pubs:
        identity = pub.key or [hashlib.sha256(pub.circuit).hexdigest(), _plain_sums(pub)]
        lines.append([identity, pub.shots, pub.values.shape])
    return hashlib.sha256(json.dumps(lines, sort_keys=True).encode()).hexdigest()


def same_values(first: Submission, second: Submission) -> bool:
    """Tell whether the parameter values of two submissions with one fingerprint agree to rounding."""
    pairs = zip(first.pubs, second.pubs, strict=True)
    return all(np.allclose(a.values, b.values, rtol=ANGLE_TOLERANCE, atol=ANGLE_TOLERANCE) for a, b in pairs)
