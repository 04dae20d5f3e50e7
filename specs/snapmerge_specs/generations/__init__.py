"""What a generation of the snapshot targets brings to the specs: one record, which is registered."""
