"""Market data that refreshes itself: which candles to fetch, how gaps are filled, what is calculated when."""
