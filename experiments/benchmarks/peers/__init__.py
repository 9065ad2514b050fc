"""The peers' programs: each trains the tasks as its own users would."""
