"""The audit index: OpenSearch keeps it, and answers what one searches for; the record answers the same, slower."""
