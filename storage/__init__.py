"""Schema, migrations, every SQL statement and the recorder of events. Knows nothing of Yahoo."""
