"""The boundary of training: everything is checked before anything is compiled."""
