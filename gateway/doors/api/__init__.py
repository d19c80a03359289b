"""The gateway's own HTTP interfaces (`openapi/`), served by connexion."""
