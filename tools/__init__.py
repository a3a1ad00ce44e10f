"""What the project works with and nobody installs."""
