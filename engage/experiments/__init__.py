"""What the texts did: statistics over the counts, means and covariances of each arm. No database, no rows, no clock."""
