"""The walk, as pure rules: mission, missionary and what is known → the next move."""
