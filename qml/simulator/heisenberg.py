"""The end of a circuit moved into its observables.

Read backwards, a map U turns each Pauli string P into U^dagger P U. Where that is again one string (times a number) for
every string of every observable, whatever the angles, the map need not be simulated: Clifford gates turn into other
strings, gates outside the light cone and diagonal gates before a Z measurement drop out.
"""

from circuits.observables import PauliFactors
from qml.simulator.linear import NEGLIGIBLE, Linear, transfer_map
from qml.simulator.readout import Terms

MAX_ABSORBED_SITES = 2  # wider maps are simulated: their transfer matrices cost more than they save
MAX_ABSORBING_STRINGS = 64  # of all observables; each must be followed through every map
LETTERS = "IXYZ"


def absorb_tail(maps: list[Linear], terms: Terms, levels: int) -> tuple[list[Linear], Terms]:
    """Drop maps from the end that only relabel the observables' strings.

    Returns:
        The maps that remain, in order, and the observables as they are after them.
    """
    if sum(len(strings) for strings in terms) > MAX_ABSORBING_STRINGS:
        return maps, terms
    flat = [dict(factors) for strings in terms for _, factors in strings]
    scales = [1.0] * len(flat)
    kept: list[Linear] = []
    blocked: set[int] = set()
    for linear in reversed(maps):
        moved = None
        if blocked.isdisjoint(linear.all_sites) and len(linear.all_sites) <= MAX_ABSORBED_SITES:
            moved = _all_rows(linear, flat, levels)
        if moved is None:
            kept.append(linear)
            blocked.update(linear.all_sites)
            continue
        for k, (scale, letters) in enumerate(moved):
            scales[k] *= scale
            flat[k] = {site: letter for site, letter in (flat[k] | letters).items() if letter != "I"}
    return kept[::-1], _regroup(terms, flat, scales)


def _all_rows(linear: Linear, flat: list[dict[int, str]], levels: int) -> list[tuple[float, dict[int, str]]] | None:
    if linear.controls:
        return None
    if levels == 2 and all(site not in letters for letters in flat for site in linear.sites) and _keeps_norm(linear):
        return [(1.0, {})] * len(flat)
    transfer = linear if levels == 4 else transfer_map(linear)
    rows: dict[int, tuple[float, int] | None] = {}
    moved = []
    for letters in flat:
        row = 0
        for site in linear.sites:
            row = 4 * row + LETTERS.index(letters.get(site, "I"))
        if row not in rows:
            rows[row] = _single_entry(transfer, row)
        entry = rows[row]
        if entry is None:
            return None
        scale, column = entry
        n_sites = len(linear.sites)
        new = {site: LETTERS[column >> 2 * (n_sites - 1 - k) & 3] for k, site in enumerate(linear.sites)}
        moved.append((scale, new))
    # the norm is an observable too: a projection changes it and must stay
    return moved if _single_entry(transfer, 0) == (1.0, 0) else None


def _single_entry(transfer: Linear, row: int) -> tuple[float, int] | None:
    if any(abs(part[row]).max() > NEGLIGIBLE for _, *pair in transfer.terms for part in pair):
        return None
    entries = transfer.constant[row].real
    column = int(abs(entries).argmax())
    others = abs(entries).sum() - abs(entries[column])
    value = float(entries[column])
    value = round(value) if abs(abs(value) - 1.0) < NEGLIGIBLE * 100 else value
    return None if others > NEGLIGIBLE * 100 else (float(value), column)


def _keeps_norm(linear: Linear) -> bool:
    return _single_entry(transfer_map(linear), 0) == (1.0, 0)


def _regroup(terms: Terms, flat: list[dict[int, str]], scales: list[float]) -> Terms:
    result, k = [], 0
    for strings in terms:
        new: list[tuple[float, PauliFactors]] = []
        for coefficient, _ in strings:
            new.append((coefficient * scales[k], tuple(sorted(flat[k].items()))))
            k += 1
        result.append(tuple(new))
    return tuple(result)
