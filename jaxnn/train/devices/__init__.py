"""Which devices a run takes, where its arrays lie, and how programs are compiled for them."""
