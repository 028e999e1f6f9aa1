"""One script per question. Each prints ratios: both sides interleaved in one run, medians."""
