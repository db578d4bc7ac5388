"""The steps of a store in Redis, one Lua script each, and the keys they keep.

When they are called, and what their replies mean, is in `redis`.

Keys, all below one prefix and with one hash tag, so on one node of a cluster::

    versions   hash: the version of each name
    texts      hash: the record of each name
    names      sorted set: the same names, in order
    marks      sorted set: marks, by the number of their setting
    state      hash: the form of all this, the last version, the last mark's number
    done:<id>  for a while: the version that a commit wrote, so that one whose answer
               was lost is not made again

The first five expire at the same moment or not at all. Versions are taken from the
server's time, so that none is ever used again, not even after everything expired or a
server came back without its last writes.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final, NamedTuple

FORM: Final = 1
KEPT: Final = ("versions", "texts", "names", "marks", "state")
"""The keys that each script is given, in this order."""

_COMMON: Final = f"""
local VERSIONS, TEXTS, NAMES, MARKS, STATE = unpack(KEYS, 1, 5)
local FORM = '{FORM}'
local call = redis.call

local form = call('HGET', STATE, 'form')
if form and form ~= FORM then return redis.error_reply('FORM ' .. form) end
-- What was removed by others, as by eviction, must not look as if it had never been.
local kept = call('HLEN', VERSIONS)
if kept ~= call('HLEN', TEXTS) or kept ~= call('ZCARD', NAMES)
   or (kept > 0 and not form) then
  return redis.error_reply('TORN')
end

local function renew(ttl)
  if ttl < 0 then
    for i = 1, 5 do call('PERSIST', KEYS[i]) end
    return
  end
  local time = call('TIME')
  local ends = string.format('%.0f', (time[1] + ttl) * 1000 + math.ceil(time[2] / 1000))
  for i = 1, 5 do call('PEXPIREAT', KEYS[i], ends) end
end
"""


class Script(NamedTuple):
    """A script, and how Redis calls one that it knows."""

    source: str
    digest: str


def _script(source: str) -> Script:
    whole = _COMMON + source
    return Script(whole, sha1(whole.encode(), usedforsecurity=False).hexdigest())


READ: Final = _script(
    """
-- Each name is followed by the version that the caller has.
local found = {}
for i = 1, #ARGV, 2 do
  local version = call('HGET', VERSIONS, ARGV[i])
  found[#found + 1] = version or ''
  if version and version ~= ARGV[i + 1] then
    found[#found + 1] = call('HGET', TEXTS, ARGV[i])
  else
    found[#found + 1] = ''
  end
end
return found
"""
)

SCAN: Final = _script(
    """
local found = {}
for _, name in ipairs(
  call('ZRANGEBYLEX', NAMES, ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
) do
  found[#found + 1] = name
  found[#found + 1] = call('HGET', VERSIONS, name)
  found[#found + 1] = call('HGET', TEXTS, name)
end
return found
"""
)

MARKED: Final = _script(
    """
local found = {}
for i = 1, #ARGV do
  found[i] = call('ZSCORE', MARKS, ARGV[i]) and 1 or 0
end
return found
"""
)

RENEW: Final = _script("renew(tonumber(ARGV[1]))")

COMMIT: Final = _script(
    """
local DONE = KEYS[6]
local done = call('GET', DONE)
if done then return done end

local ttl, most_marks, remembered = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local at = 3
local function next_argument()
  at = at + 1
  return ARGV[at]
end

for _ = 1, next_argument() do
  local name, expected = next_argument(), next_argument()
  if (call('HGET', VERSIONS, name) or '0') ~= expected then return '' end
end
local marks = {}
for i = 1, next_argument() do
  marks[i] = next_argument()
  if call('ZSCORE', MARKS, marks[i]) then return '' end
end

local time = call('TIME')
local last = tonumber(call('HGET', STATE, 'version') or 0)
local version = math.max(last + 1, time[1] * 1000000 + time[2])
version = string.format('%.0f', version)
call('HSET', STATE, 'form', FORM, 'version', version)
for _ = 1, next_argument() do
  local name, text = next_argument(), next_argument()
  call('HSET', VERSIONS, name, version)
  call('HSET', TEXTS, name, text)
  call('ZADD', NAMES, 0, name)
end
for _ = 1, next_argument() do
  local name = next_argument()
  call('HDEL', VERSIONS, name)
  call('HDEL', TEXTS, name)
  call('ZREM', NAMES, name)
end
for _, mark in ipairs(marks) do
  call('ZADD', MARKS, call('HINCRBY', STATE, 'marks', 1), mark)
end
local excess = call('ZCARD', MARKS) - most_marks
if excess > 0 then call('ZREMRANGEBYRANK', MARKS, 0, excess - 1) end
call('SET', DONE, version, 'PX', remembered)
renew(ttl)
return version
"""
)
