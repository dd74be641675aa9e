"""Pure computation on closed candles: indicators, regimes, signals. Knows no clock, SQL, Prefect, ccxt."""
