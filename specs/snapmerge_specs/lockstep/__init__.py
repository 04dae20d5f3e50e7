"""An implementation and the oracle beside it: judged outcomes, capabilities, and reports."""
