"""How many tasks a second two cores work off, and what a year of backfill does to today's run: `make load`."""
