"""What a Task can do: plain functions (context, params) → Verdict, found through a registry."""
