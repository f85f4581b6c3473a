"""What is for those who trade: client libraries, and robots and examples that stand on them alone."""
