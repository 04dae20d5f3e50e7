"""The machine: device-mapper as one pure function of a hashable value.

``core`` is device-mapper itself and knows no target.  Each target is a package or a file beside it: a record of
functions (``core.draft.TargetType``), as in the kernel.  ``registry`` has those of Linux; another generation makes its
own rules from them, in its own package.
"""
