"""The targets ``snapshot``, ``snapshot-origin`` and ``snapshot-merge``.

To read it in one sitting: ``state`` (the values), ``copy_out`` (the life of an exception), ``snapshot`` and
``origin`` (where bios go), ``handover`` and ``resume`` (how exceptions change hands), ``merge`` (how they go home).
``types`` has the records.
"""
