"""What is measured, and how. Timings are printed, never asserted."""
