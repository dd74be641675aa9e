"""What to make of live prices: pure rules over the board, the same live and replayed."""
