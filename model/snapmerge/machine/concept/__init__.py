"""Another generation of the target: the ``snapshot-merge`` that was proposed in 2009, as intended.

Its rules are those of Linux with another target type (``types.concept``).  No other part of the machine imports it
(specs/concept.md).
"""
