"""Another generation of the target: the ``snapshot-merge`` that was proposed in 2009, as intended.

It is a set of rules of its own, made from those of Linux: ``types.concept``.  Nothing else of the machine knows it, but
the registry (specs/concept.md).
"""
