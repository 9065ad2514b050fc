"""What a population needs before it trains: knobs, devices, the width of a cohort."""
