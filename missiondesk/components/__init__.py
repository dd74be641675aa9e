"""Components: who is registered and present, what they are told, and the library that makes one."""
