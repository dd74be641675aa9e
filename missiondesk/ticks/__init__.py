"""One tick of one Mission on live ground: lease, walk, record, end. The flow brings Prefect in."""
