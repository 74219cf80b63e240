"""The colours of drawings, the same in every kind of picture."""

# Wires and words stand on the page itself and can be read on white and on black; boxes bring their own background.
WIRE, WORDS, INK = "#8c96a0", "#78818c", "#24292f"
COLOURS = {  # face and edge; readable in grey too
    "fixed": ("#ffffff", "#6e7781"),
    "constant": ("#e6eaee", "#6e7781"),
    "data": ("#d5eaf8", "#2f7fe8"),
    "weight": ("#fde5cc", "#d0661c"),
    "other": ("#ece2f7", "#8d55c8"),
}
MEANINGS = {"data": "data slot", "weight": "weight slot", "constant": "constant", "other": "not unitary"}
