"""How data reaches the loop: sources, batches joined into chunks, and chunks sent ahead."""
