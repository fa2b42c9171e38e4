"""The package in which Django looks up commands."""
