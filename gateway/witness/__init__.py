"""A small witness of transparency logs (C2SP tlog-witness): it cosigns what goes on from what it saw, and never goes back."""
