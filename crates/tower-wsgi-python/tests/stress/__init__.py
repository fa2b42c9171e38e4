"""Whether a worker leaks: many requests, failing applications, clients that leave."""
