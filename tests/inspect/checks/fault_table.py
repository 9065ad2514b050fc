"""The table of planted faults, each with the check that must find it.

A row is a recipe and data with one fault, the name of the check, and a word that the place must
hold. Rows marked as slow compile more than one small network.
"""

from __future__ import annotations

from faults_of_data import DATA
from faults_of_networks import NETWORK

FAULTS = DATA | NETWORK
