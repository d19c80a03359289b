"""Evidence packages of single transfers, and reading bodies from the vault."""
