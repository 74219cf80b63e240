"""Ansatzes: circuits of weights, each a function of sizes with the unitary of its namesake elsewhere."""

from typing import TYPE_CHECKING

from circuits.lazy import load_at_first_use

if TYPE_CHECKING:
    from circuits.ansatzes.alternating import qaoa as qaoa
    from circuits.ansatzes.alternating import qaoa_embedding as qaoa_embedding
    from circuits.ansatzes.blocks import convolution_block as convolution_block
    from circuits.ansatzes.blocks import general_block as general_block
    from circuits.ansatzes.blocks import pooling_block as pooling_block
    from circuits.ansatzes.blocks import tree_block as tree_block
    from circuits.ansatzes.bricks import brickwork as brickwork
    from circuits.ansatzes.bricks import simplified_two_design as simplified_two_design
    from circuits.ansatzes.convolutional import convolution as convolution
    from circuits.ansatzes.convolutional import pooling as pooling
    from circuits.ansatzes.convolutional import qcnn as qcnn
    from circuits.ansatzes.diagonal import iqp as iqp
    from circuits.ansatzes.layered import ENTANGLERS as ENTANGLERS
    from circuits.ansatzes.layered import basic_entangler as basic_entangler
    from circuits.ansatzes.layered import efficient_su2 as efficient_su2
    from circuits.ansatzes.layered import hardware_efficient as hardware_efficient
    from circuits.ansatzes.layered import real_amplitudes as real_amplitudes
    from circuits.ansatzes.networks import binary_tree as binary_tree
    from circuits.ansatzes.networks import matrix_product_state as matrix_product_state
    from circuits.ansatzes.networks import mera as mera
    from circuits.ansatzes.networks import tree_tensor_network as tree_tensor_network
    from circuits.ansatzes.patterns import PATTERNS as PATTERNS
    from circuits.ansatzes.patterns import pairs_of as pairs_of
    from circuits.ansatzes.strong import strongly_entangling as strongly_entangling
else:
    __getattr__, __dir__ = load_at_first_use(
        __name__,
        {
            "circuits.ansatzes.alternating": ("qaoa", "qaoa_embedding"),
            "circuits.ansatzes.blocks": ("convolution_block", "general_block", "pooling_block", "tree_block"),
            "circuits.ansatzes.bricks": ("brickwork", "simplified_two_design"),
            "circuits.ansatzes.convolutional": ("convolution", "pooling", "qcnn"),
            "circuits.ansatzes.diagonal": ("iqp",),
            "circuits.ansatzes.layered": (
                "ENTANGLERS", "basic_entangler", "efficient_su2", "hardware_efficient", "real_amplitudes",
            ),
            "circuits.ansatzes.networks": ("binary_tree", "matrix_product_state", "mera", "tree_tensor_network"),
            "circuits.ansatzes.patterns": ("PATTERNS", "pairs_of"),
            "circuits.ansatzes.strong": ("strongly_entangling",),
        },
    )  # fmt: skip
