"""Azure Blob Storage, by the client that adlfs sets up."""
