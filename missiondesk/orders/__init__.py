"""The one door to an exchange's private side: intent, send, reconcile; limits and the kill switch."""
