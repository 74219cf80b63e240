"""Tables of Pauli strings, one bit for X and one for Z of every qubit.

A string is i^|x & z| X^x Z^z, so that both bits together are Y. It anticommutes with G if |x & z_G| + |z & x_G| is odd,
and G P = i^k R with bits that are exclusive ors and k = |x_G & z_G| + |x & z| - |x_R & z_R| + 2 |z_G & x| (Aaronson and
Gottesman, arXiv:quant-ph/0406196). Strings are looked up by a hash that is linear over exclusive or, so that the hash
of a product is one operation; a hit is compared bit by bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

WORD = 64
LETTERS = "IXYZ"
SEED = 0
ONE = np.uint64(1)


@dataclass(frozen=True, eq=False)
class PauliTable:
    """A table of Pauli strings, which may be compared with others of as many qubits.

    Attributes:
        x, z: bits, (words, strings), qubit q in bit q % 64 of word q // 64.
        hashes: (strings,).
        n_qubits: of every string.
    """

    x: np.ndarray
    z: np.ndarray
    hashes: np.ndarray
    n_qubits: int

    def __len__(self) -> int:
        return len(self.hashes)

    @staticmethod
    def of(strings: Sequence[Mapping[int, str]], n_qubits: int) -> "PauliTable":
        """Return the table of strings that are given as letters by qubit."""
        n_words = -(-n_qubits // WORD)
        x, z = (np.zeros((n_words, len(strings)), dtype=np.uint64) for _ in range(2))
        hashes = np.zeros(len(strings), dtype=np.uint64)
        salts = salts_of(n_qubits)
        for place, string in enumerate(strings):
            for qubit, letter in string.items():
                for bits, salt, holders in ((x, salts[0], "XY"), (z, salts[1], "YZ")):
                    if letter in holders:
                        bits[qubit // WORD, place] |= ONE << np.uint64(qubit % WORD)
                        hashes[place] ^= salt[qubit]
        return PauliTable(x, z, hashes, n_qubits)

    def take(self, chosen: np.ndarray) -> "PauliTable":
        """Return some of the strings, by number or mask."""
        return PauliTable(self.x[:, chosen], self.z[:, chosen], self.hashes[chosen], self.n_qubits)

    def joined(self, other: "PauliTable") -> "PauliTable":
        """Return the strings of both tables."""
        x, z = (np.concatenate(pair, axis=1) for pair in ((self.x, other.x), (self.z, other.z)))
        return PauliTable(x, z, np.concatenate([self.hashes, other.hashes]), self.n_qubits)

    def weights(self) -> np.ndarray:
        """Count the letters other than I of every string."""
        return np.bitwise_count(self.x | self.z).sum(0, dtype=np.int64)

    def anticommuting(self, generator: "PauliTable") -> np.ndarray:
        """Return the numbers of the strings that anticommute with one string."""
        parity = np.zeros(len(self), dtype=np.uint8)
        for word in range(len(self.x)):
            x, z = generator.x[word, 0], generator.z[word, 0]
            if x:
                parity ^= np.bitwise_count(self.z[word] & x)
            if z:
                parity ^= np.bitwise_count(self.x[word] & z)
        return np.flatnonzero(parity & 1)

    def times(self, generator: "PauliTable") -> tuple["PauliTable", np.ndarray]:
        """Return the strings of i G P for anticommuting P, and their signs."""
        x, z = self.x ^ generator.x, self.z ^ generator.z
        power = np.ones(len(self), dtype=np.int64)
        for word in range(len(x)):
            own_x, own_z = generator.x[word, 0], generator.z[word, 0]
            if own_x or own_z:
                power += int(np.bitwise_count(own_x & own_z))
                power += np.bitwise_count(self.x[word] & self.z[word])
                power -= np.bitwise_count(x[word] & z[word])
                power += 2 * np.bitwise_count(self.x[word] & own_z).astype(np.int64)
        return PauliTable(x, z, self.hashes ^ generator.hashes, self.n_qubits), (1 - (power & 3)).astype(np.int8)

    def codes(self, qubits: Sequence[int]) -> np.ndarray:
        """Return the letters on some qubits as one number, I = 0, X = 1, Y = 2, Z = 3, the first most significant."""
        codes = np.zeros(len(self), dtype=np.int64)
        for qubit in qubits:
            x, z = self._bits(qubit)
            codes = 4 * codes + ((3 * z) ^ x)
        return codes

    def with_codes(self, qubits: Sequence[int], codes: np.ndarray) -> "PauliTable":
        """Return the strings with other letters on some qubits."""
        x, z, hashes = self.x.copy(), self.z.copy(), self.hashes.copy()
        salts = salts_of(self.n_qubits)
        for place, qubit in enumerate(reversed(qubits)):
            digits = (codes >> 2 * place) & 3
            old_x, old_z = self._bits(qubit)
            flips_z = ((digits >> 1) ^ old_z).astype(np.uint64)
            flips_x = ((digits >> 1) ^ (digits & 1) ^ old_x).astype(np.uint64)
            word, bit = qubit // WORD, np.uint64(qubit % WORD)
            x[word] ^= flips_x << bit
            z[word] ^= flips_z << bit
            hashes ^= flips_x * salts[0][qubit]
            hashes ^= flips_z * salts[1][qubit]
        return PauliTable(x, z, hashes, self.n_qubits)

    def places_in(self, other: "PauliTable") -> np.ndarray:
        """Return where each string stands in another table of distinct strings, -1 where it does not."""
        if not len(other):
            return np.full(len(self), -1)
        order = np.argsort(other.hashes)
        ranked = other.hashes[order]
        if (ranked[1:] == ranked[:-1]).any():
            return self._places_exactly(other)
        candidates = order[np.minimum(np.searchsorted(ranked, self.hashes), len(other) - 1)]
        equal = self.hashes == other.hashes[candidates]
        for own, others in ((self.x, other.x), (self.z, other.z)):
            for word in range(len(own)):
                equal &= own[word] == others[word, candidates]
        return np.where(equal, candidates, -1)

    def distinct(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the number of one copy of each distinct string, and for every string which of those it equals."""
        order = np.argsort(self.hashes, kind="stable")
        ranked = self.take(order)
        same_hash = ranked.hashes[1:] == ranked.hashes[:-1]
        same = same_hash.copy()
        for bits in (ranked.x, ranked.z):
            same &= (bits[:, 1:] == bits[:, :-1]).all(0)
        if (same != same_hash).any():
            rows = np.concatenate([self.x, self.z]).T
            _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
            return first, inverse.reshape(-1)
        starts = np.concatenate([[True], ~same])[: len(self)]
        inverse = np.empty(len(self), dtype=np.int64)
        inverse[order] = np.cumsum(starts) - 1
        return order[starts], inverse

    def _bits(self, qubit: int) -> tuple[np.ndarray, np.ndarray]:
        word, bit = qubit // WORD, np.uint64(qubit % WORD)
        x, z = ((bits[word] >> bit & ONE).astype(np.int64) for bits in (self.x, self.z))
        return x, z

    def _places_exactly(self, other: "PauliTable") -> np.ndarray:
        """The same without hashes, for tables in which two strings have one hash."""
        numbers = {key: number for number, key in enumerate(other._keys())}
        return np.array([numbers.get(key, -1) for key in self._keys()], dtype=np.int64)

    def _keys(self) -> list[bytes]:
        return [row.tobytes() for row in np.ascontiguousarray(np.concatenate([self.x, self.z]).T)]


@lru_cache(maxsize=64)
def salts_of(n_qubits: int) -> np.ndarray:
    """Return the hash of X and of Z on every qubit, (2, qubits)."""
    salts = np.random.default_rng(SEED).integers(1, 2**64, size=(2, n_qubits), dtype=np.uint64)
    salts.setflags(write=False)
    return salts
