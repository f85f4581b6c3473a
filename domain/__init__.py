"""The matching aggregate: pure, total, flat. Imports nothing of the project; compiled by mypyc as one group."""
