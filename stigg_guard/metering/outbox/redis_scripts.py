"""The steps of a Redis outbox, one Lua script each, and the keys they keep.

When they are called, and what their replies mean, is in `redis` and `redis_form`.

Keys, all with the stream's hash tag and so on one node of a cluster::

    rows       stream: what never changes of a row; XDEL takes what is delivered
               its group `delivery`: rows in flight are the pending entries
    row:<id>   hash, from a row's first claim on: what changes of it
    key:<key>  the id under which a measurement is stored, or was within the hour
    lane:<..>  sorted set: the lane's rows that were read and not parked, in order
    ready      sorted set: rows that were read before and can be claimed
    later      sorted set by the time at which put off rows are due
    leases     sorted set by the time at which claims end
    parked     sorted set: parked rows
    delivered  how many were delivered
    front      every row before this id is parked
    form       the version of all this

A row is read from the stream once, in order, so that rows which nobody touched yet need
no index. One that cannot be claimed then, and one that comes back, waits in the indexes
above; of a lane only the first row is ever in `ready`. Ids are padded: their order as
text is that of the stream. Every step takes logarithmic time per row that it moves.

A script whose first write takes no memory runs although memory is full. That is so for
all but `PUT`: the outbox can be emptied then.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final, NamedTuple

STREAM: Final = "rows"
GROUP: Final = "delivery"
FORM: Final = 1

_COMMON = """
local STREAM, GROUP = KEYS[1], 'delivery'
local BASE = string.sub(STREAM, 1, -5)
local READY, LATER, LEASES = BASE .. 'ready', BASE .. 'later', BASE .. 'leases'
local PARKED = BASE .. 'parked'
local call = redis.call

local NOW = ARGV[1]
if NOW == '' then
  local time = call('TIME')
  NOW = string.format('%d.%06d', time[1], time[2])
end
local now = tonumber(NOW)

local function padded(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return string.format('%013d-%010d', ms, seq)
end

local function named(list)
  local found = {}
  for i = 1, #list, 2 do found[list[i]] = list[i + 1] end
  return found
end

local function entry(id)
  return call('XRANGE', STREAM, id, id)[1]
end

local function changes(id) return BASE .. 'row:' .. id end

-- The key of a lane; none for rows of no lane.
local function lane_of(text)
  if text and text ~= '' then return BASE .. 'lane:' .. text end
end

local function first(lane) return call('ZRANGE', lane, 0, 0)[1] end

-- Whether it is due, and no claim has it.
local function is_free(id)
  for _, index in ipairs({LATER, LEASES}) do
    local at = call('ZSCORE', index, id)
    if at and tonumber(at) > now then return false end
  end
  return true
end

-- Let it be claimed, unless it has to wait. What is refused here is offered again when
-- its time has come, and when it becomes the first of its lane.
local function offer(id, lane)
  if lane and first(lane) ~= id then return end
  if is_free(id) then call('ZADD', READY, 0, id) end
end

local function enter(id, lane)
  if lane then
    local before = first(lane)
    call('ZADD', lane, 0, id)
    if before and before ~= first(lane) then call('ZREM', READY, before) end
  end
  offer(id, lane)
end

local function leave(id, lane)
  call('ZREM', READY, id)
  call('ZREM', LATER, id)
  call('ZREM', LEASES, id)
  if not lane then return end
  call('ZREM', lane, id)
  local head = first(lane)
  if head then offer(head, lane) end
end

local function shown(found)
  local id = padded(found[1])
  return {id, found[2], call('HGETALL', changes(id)), ''}
end

-- The id of what is named by its measurement's key or its id.
local function resolved(ref)
  local id = call('GET', BASE .. 'key:' .. ref)
  if id then return id end
  local ms, seq = string.match(ref, '^(%d+)-(%d+)$')
  if ms and #ms <= 15 and #seq <= 10 then return padded(ref) end
end
"""

_PUT = """
local count = tonumber(ARGV[2])
local known = {}
for from = 3, count + 2, 1000 do
  local keys, to = {}, math.min(from + 999, count + 2)
  for i = from, to do keys[#keys + 1] = BASE .. 'key:' .. ARGV[i] end
  for i, id in ipairs(call('MGET', unpack(keys))) do
    if id then known[ARGV[from + i - 1]] = id end
  end
end
if call('EXISTS', STREAM) == 0 then
  call('XGROUP', 'CREATE', STREAM, GROUP, '0', 'MKSTREAM')
  call('SET', BASE .. 'form', '1')
end
local stored, at = {}, count + 3
for i = 3, count + 2 do
  local key, size = ARGV[i], tonumber(ARGV[at])
  if not known[key] then
    local to = at + size
    local id = padded(call('XADD', STREAM, '*', 't', NOW, unpack(ARGV, at + 1, to)))
    known[key] = id
    stored[#stored + 1] = BASE .. 'key:' .. key
    stored[#stored + 1] = id
    local row = {}
    for field = at + 1, to, 2 do row[ARGV[field]] = ARGV[field + 1] end
    if row.b then
      call('ZADD', PARKED, 0, id)
      call('HSET', changes(id), 's', 'parked')
    end
  end
  at = at + size + 1
end
for from = 1, #stored, 1000 do
  call('MSET', unpack(stored, from, math.min(from + 999, #stored)))
end
"""

_CLAIM = """
local worker, most = ARGV[2], tonumber(ARGV[3])
local ends = string.format('%.6f', now + tonumber(ARGV[4]))
local token = ARGV[5]
local AT_ONCE = 1000
if call('EXISTS', STREAM) == 0 then return {{}, 0} end

-- Claims of this worker whose reply never came: it has seen none of their rows.
local lost = {}
for i = 6, #ARGV do lost[ARGV[i]] = true end
local has = next(lost) and call('XPENDING', STREAM, GROUP, '-', '+', 100000, worker)
for _, one in ipairs(has or {}) do
  local id = padded(one[1])
  local row = named(call('HGETALL', changes(id)))
  if row.s == 'in_flight' and lost[row.n] then
    call('ZREM', LEASES, id)
    if row.f == '' then
      call('XACK', STREAM, GROUP, id)
      call('HSET', changes(id), 's', 'pending', 'u', NOW)
    end
    offer(id, lane_of(row.l))
  end
end

local more = false
for _, index in ipairs({LATER, LEASES}) do
  local passed = call('ZRANGEBYSCORE', index, '-inf', NOW, 'LIMIT', 0, AT_ONCE)
  more = more or #passed == AT_ONCE
  for _, id in ipairs(passed) do
    call('ZREM', index, id)
    offer(id, lane_of(call('HGET', changes(id), 'l')))
  end
end

local claimed, mine, next_of = {}, {}, {}

local function take(id, fields, row, was)
  local died = was == 'in_flight' and '1' or ''
  local hash = changes(id)
  call('HSET', hash, 's', 'in_flight', 'c', NOW, 'u', ends, 'w', worker,
    'n', token, 'f', died)
  if not was then
    call('HSET', hash, 'k', row.k, 'l', row.l or '', 'a', row.a or '0')
  end
  call('ZADD', LEASES, ends, id)
  claimed[#claimed + 1] = {id, fields, call('HGETALL', hash), died}
end

-- Read before: rows that are free, and the first ones of lanes. Older than all others.
while #claimed < most do
  local id = call('ZPOPMIN', READY)[1]
  if not id then break end
  local hash = changes(id)
  local found = call('XCLAIM', STREAM, GROUP, worker, 0, id, 'FORCE')[1]
  if found then
    local row = named(found[2])
    local lane = lane_of(row.l)
    call('ZREM', LATER, id)
    take(id, found[2], row, call('HGET', hash, 's'))
    if lane then
      mine[lane] = (mine[lane] or 0) + 1
      local after = call('ZRANGE', lane, mine[lane], mine[lane])[1]
      if after and not is_free(after) then after = nil end
      if after then call('ZADD', READY, 0, after) end
      next_of[lane] = after
    end
  else
    -- Somebody deleted it by hand.
    leave(id, lane_of(call('HGET', hash, 'l')))
    call('DEL', hash)
  end
end

-- Never read: what no earlier row of its lane holds up is claimed in passing.
local skipped, ended = 0, false
while #claimed < most and skipped < AT_ONCE and not ended do
  local reply = call('XREADGROUP', 'GROUP', GROUP, worker, 'COUNT', most - #claimed,
    'STREAMS', STREAM, '>')
  ended = not reply
  for _, found in ipairs(reply and reply[1][2] or {}) do
    local id, row = padded(found[1]), named(found[2])
    local lane = lane_of(row.l)
    local was = row.b and call('HGET', changes(id), 's')
    local waits = lane and call('ZCARD', lane) ~= (mine[lane] or 0)
    if was == 'parked' or waits then
      skipped = skipped + 1
      call('XACK', STREAM, GROUP, id)
      if was ~= 'parked' then call('ZADD', lane, 0, id) end
    else
      if lane then
        call('ZADD', lane, 0, id)
        mine[lane] = (mine[lane] or 0) + 1
      end
      take(id, found[2], row, was)
    end
  end
end

for _, id in pairs(next_of) do call('ZREM', READY, id) end
return {claimed, (#claimed < most and (more or not ended)) and 1 or 0}
"""

_EXTEND = """
local worker, ends = ARGV[2], string.format('%.6f', now + tonumber(ARGV[3]))
for i = 4, #ARGV do
  local id = ARGV[i]
  local row = call('HMGET', changes(id), 's', 'w')
  if row[1] == 'in_flight' and row[2] == worker then
    call('ZREM', READY, id)
    call('ZADD', LEASES, ends, id)
    call('HSET', changes(id), 'u', ends)
  end
end
"""

_FINISH = """
local worker, remembered = ARGV[2], tonumber(ARGV[3])
local acknowledged, gone = {}, {}
for i = 4, #ARGV, 6 do
  local id, outcome, doubtful, tried = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local due, error = ARGV[i + 4], ARGV[i + 5]
  local hash = changes(id)
  local row = named(call('HGETALL', hash))
  if row.s == 'in_flight' and row.w == worker then
    local lane = lane_of(row.l)
    call('XACK', STREAM, GROUP, id)
    if outcome == 'delivered' then
      call('XDEL', STREAM, id)
      call('DEL', hash)
      call('EXPIRE', BASE .. 'key:' .. row.k, remembered)
      call('INCR', BASE .. 'delivered')
      leave(id, lane)
    else
      call('HSET', hash, 's', outcome, 'c', NOW, 'd', doubtful,
        'a', row.a + tried)
      if error ~= '' then call('HSET', hash, 'e', error) end
      if outcome == 'parked' then
        call('ZADD', PARKED, 0, id)
        leave(id, lane)
      else
        call('HSET', hash, 'u', due)
        call('ZREM', LEASES, id)
        call('ZREM', READY, id)
        if tonumber(due) > now then call('ZADD', LATER, due, id) end
        offer(id, lane)
      end
    end
  end
end
"""

_ROWS = """
local state, after, most = ARGV[2], resolved(ARGV[3]), tonumber(ARGV[4])
local from = after and '(' .. after or '-'
local rows = {}
if call('EXISTS', STREAM) == 0 then return {rows, ''} end
if state == '' or state == 'pending' then
  local last = ''
  local entries = call('XRANGE', STREAM, from, '+', 'COUNT', most)
  for _, found in ipairs(entries) do
    last = padded(found[1])
    if state == '' or (call('HGET', changes(last), 's') or state) == state then
      rows[#rows + 1] = shown(found)
    end
  end
  return {rows, #entries < most and '' or last}
end
local ids = {}
if state == 'parked' then
  ids = call('ZRANGEBYLEX', PARKED, from, '+', 'LIMIT', 0, most)
elseif state == 'in_flight' then
  for _, one in ipairs(call('XPENDING', STREAM, GROUP, from, '+', most)) do
    ids[#ids + 1] = one[1]
  end
end
for _, id in ipairs(ids) do
  local found = entry(id)
  if found then rows[#rows + 1] = shown(found) end
end
return {rows, #ids < most and '' or ids[#ids]}
"""

_FIND = """
local rows = {}
for i = 2, #ARGV do
  local id = resolved(ARGV[i])
  local found = id and entry(id)
  if found then rows[#rows + 1] = shown(found) end
end
return rows
"""

_RETRY = """
-- ARGV: '' and ids, or '(' and the id after which to go through all that are parked.
local count, ids, last = 0, {}, ''
if call('EXISTS', STREAM) == 0 then return {count, last} end
if ARGV[2] == '' then
  for i = 3, #ARGV do ids[#ids + 1] = resolved(ARGV[i]) end
else
  local from = ARGV[3] == '' and '-' or '(' .. ARGV[3]
  ids = call('ZRANGEBYLEX', PARKED, from, '+', 'LIMIT', 0, 1000)
  last = ids[#ids] or ''
end
local read = padded(named(call('XINFO', 'GROUPS', STREAM)[1])['last-delivered-id'])
for _, id in ipairs(ids) do
  local found = call('ZREM', PARKED, id) == 1 and entry(id)
  if found then
    local row = named(found[2])
    call('HSET', changes(id), 's', 'pending', 'c', NOW, 'u', NOW, 'd', '0',
      'k', row.k, 'l', row.l or '')
    call('HSETNX', changes(id), 'a', row.a or '0')
    -- One that was never read is met in the stream.
    if id <= read then enter(id, lane_of(row.l)) end
    local front = call('GET', BASE .. 'front')
    if front and id < front then call('SET', BASE .. 'front', id) end
    count = count + 1
  end
end
return {count, last}
"""

_DISCARD = """
local rows = {}
for i = 2, #ARGV do
  local id = resolved(ARGV[i])
  local found = id and entry(id)
  if found and call('HGET', changes(id), 's') ~= 'in_flight' then
    local row = named(found[2])
    rows[#rows + 1] = shown(found)
    call('XDEL', STREAM, id)
    call('ZREM', PARKED, id)
    call('DEL', changes(id), BASE .. 'key:' .. row.k)
    leave(id, lane_of(row.l))
  end
end
return rows
"""

_STATUS = """
local delivered = tonumber(call('GET', BASE .. 'delivered') or 0)
if call('EXISTS', STREAM) == 0 then return {0, 0, 0, delivered, ''} end
local in_flight = call('XPENDING', STREAM, GROUP)[1]
local parked = call('ZCARD', PARKED)
local pending = call('XLEN', STREAM) - in_flight - parked
local oldest, from, count = '', call('GET', BASE .. 'front') or '-', 1
while oldest == '' and pending + in_flight > 0 do
  local found = call('XRANGE', STREAM, from, '+', 'COUNT', count)
  if #found == 0 then break end
  for _, one in ipairs(found) do
    local id = padded(one[1])
    if not call('ZSCORE', PARKED, id) then
      oldest = named(one[2]).t
      if count > 1 then
        call('DEL', BASE .. 'front')
        call('SET', BASE .. 'front', id)
      end
      break
    end
    from = '(' .. id
  end
  count = 100
end
return {pending, in_flight, parked, delivered, oldest}
"""

_TIDY = """
if call('EXISTS', STREAM) == 0 then return end
for _, one in ipairs(call('XINFO', 'CONSUMERS', STREAM, GROUP)) do
  local consumer = named(one)
  if consumer.pending == 0 and consumer.idle > 1000 * ARGV[2] then
    call('XGROUP', 'DELCONSUMER', STREAM, GROUP, consumer.name)
  end
end
"""


class Script(NamedTuple):
    """A Lua script, and the name by which a server that knows it runs it."""

    source: str
    digest: str


def _script(step: str) -> Script:
    source = _COMMON + step
    return Script(source, sha1(source.encode(), usedforsecurity=False).hexdigest())


PUT: Final = _script(_PUT)
CLAIM: Final = _script(_CLAIM)
EXTEND: Final = _script(_EXTEND)
FINISH: Final = _script(_FINISH)
ROWS: Final = _script(_ROWS)
FIND: Final = _script(_FIND)
RETRY: Final = _script(_RETRY)
DISCARD: Final = _script(_DISCARD)
STATUS: Final = _script(_STATUS)
TIDY: Final = _script(_TIDY)
