"""Check that three evaluations of a rule agree: SQL, Python, and evaluation driven by Due."""

from segmentation.proof.comparison import Proof, prove_course, prove_generated

__all__ = ["Proof", "prove_course", "prove_generated"]
