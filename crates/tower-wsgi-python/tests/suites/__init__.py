"""The tests of others, run with this server in the place of theirs."""
