"""PromQL side by side: the same data and questions for Sealine and a Prometheus, and what their answers differ in."""
