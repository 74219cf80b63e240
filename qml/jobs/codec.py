"""Submissions and results as bytes (compressed safetensors, never pickle), and what makes two submissions the same."""

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qml.jobs.errors import StoreError
from qml.jobs.submission import Pub, PubResult, Submission

HEADER = "qml"
FAST = 1  # zlib's level: bits of shots shrink to an eighth already

# Angles of a run that is taken up again may differ by the rounding of float32 sums with another number of threads.
# An expectation value then differs by at most the number of gates times this: far below any shot noise.
ANGLE_TOLERANCE = 1e-6


def pack_submission(submission: Submission) -> bytes:
    """Everything in a submission; equal circuits are kept once."""
    circuits: dict[bytes, int] = {}
    arrays: dict[str, np.ndarray] = {}
    pubs = []
    for number, pub in enumerate(submission.pubs):
        place = circuits.setdefault(pub.circuit, len(circuits))
        arrays[f"values.{number}"] = pub.values
        pubs.append({"circuit": place, "observables": pub.observables, "shots": pub.shots, "key": pub.key})
    for circuit, place in circuits.items():
        arrays[f"circuit.{place}"] = np.frombuffer(circuit, np.uint8)
    return pack(
        arrays,
        {"kind": submission.kind, "options": dict(submission.options), "pubs": pubs, "overhead": submission.overhead},
    )


def unpack_submission(blob: bytes) -> Submission:
    """The submission of `pack_submission`."""
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


def pack_results(results: Sequence[PubResult]) -> bytes:
    """Everything in the results of some pubs."""
    arrays = {f"{k}.{name}": array for k, result in enumerate(results) for name, array in result.arrays.items()}
    return pack(arrays, {"metadata": [dict(result.metadata) for result in results]})


def unpack_results(blob: bytes) -> list[PubResult]:
    """The results of `pack_results`."""
    arrays, header = unpack(blob)
    split: list[dict[str, np.ndarray]] = [{} for _ in header["metadata"]]
    for name, array in arrays.items():
        number, _, rest = name.partition(".")
        split[int(number)][rest] = array
    return [PubResult(arrays, metadata) for arrays, metadata in zip(split, header["metadata"], strict=True)]


def pack(arrays: Mapping[str, np.ndarray], header: Any) -> bytes:
    """Named arrays and a header of JSON values as compressed bytes."""
    from safetensors.numpy import save

    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return zlib.compress(save(whole, {HEADER: json.dumps(header)}), FAST)


def unpack(blob: bytes) -> tuple[dict[str, np.ndarray], Any]:
    """The arrays and the header of `pack`.

    Raises:
        StoreError: bytes that are damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        plain = zlib.decompress(blob)
        length = int.from_bytes(plain[:8], "little")
        header = json.loads(json.loads(plain[8 : 8 + length])["__metadata__"][HEADER])
        return load(plain), header
    except (KeyError, TypeError, ValueError, zlib.error, SafetensorError) as error:
        raise StoreError(f"A record is damaged ({error}). The other records of the file can still be read.") from error


def fingerprint(submission: Submission) -> str:
    """A hash of everything but the values: kind, options, and of each pub its key, shots and rows.

    The option `qubits`, the device's qubits that a compiled circuit is on, counts only where the compiled bytes do.
    """
    placed = all(pub.key for pub in submission.pubs)
    options = {name: value for name, value in submission.options.items() if not (placed and name == "qubits")}
    lines: list[Any] = [submission.kind, options]
    for pub in submission.pubs:
        what = pub.key or [hashlib.sha256(pub.circuit).hexdigest(), pub.observables]
        lines.append([what, pub.shots, pub.values.shape])
    return hashlib.sha256(json.dumps(lines, sort_keys=True).encode()).hexdigest()


def same_values(first: Submission, second: Submission) -> bool:
    """Whether the parameter values of two submissions of one fingerprint agree to rounding."""
    pairs = zip(first.pubs, second.pubs, strict=True)
    return all(np.allclose(a.values, b.values, rtol=ANGLE_TOLERANCE, atol=ANGLE_TOLERANCE) for a, b in pairs)
