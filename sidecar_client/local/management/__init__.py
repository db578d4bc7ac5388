"""Operations on a world: provision, change, archive, grant, publish.

Used alike by everything that manages a sidecar; what they are called over HTTP does not
live here. Each raises `Refusal` for what cannot be done, and then nothing has changed.
"""
