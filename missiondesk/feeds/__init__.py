"""Live prices of many markets: connections that stay up, what is fresh, and where the prices go."""
