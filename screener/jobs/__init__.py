"""A scan as a job: order of work, stages and their progress, results as they come, early end. Knows no web client."""
