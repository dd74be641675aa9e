"""The words of the domain: immutable values, and (in `tables` alone) the rows that keep them."""
