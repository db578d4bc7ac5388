-- The rule of the hold stores, run inside Redis: one call is one step, at its clock.
-- `account.py`, `held.py`, `young.py` and `ledger.py` say the same in Python, under the
-- same names; what the steps mean is said in `base.py`.
--
-- KEYS: for each want, or for the step's one place, a hash and a sorted set.
--   hash        `account`: its numbers in the order of `load`, then the units that are
--               young with the times at which they are so no more, then its fence
--               and one field a hold: +key = units, base, mode
--   sorted set  the holds' keys by the time at which they run out
-- ARGV: the step's name, then for each want or for the step what is read below.
--
-- Numbers that come together are doubles, little-endian; NaN is none. Texts of numbers
-- cost several times as much to write and to read as all the rest.
--
-- The names with a dollar are put in before the script is sent.

local REMEMBERED_FOR, STORED_FOR = $REMEMBERED_FOR, $STORED_FOR
local ORPHANED_FOR = $ORPHANED_FOR
local TOLERANCE, BUCKETS, MOST_AT_ONCE = 1e-9, 16, 1000
-- Keys live a little longer than they must, so that most steps need not prolong them.
local SPARE = 60
local FORM, BYTES = '<dddddddddddddddddddd', 8 * 20
local NAN, INF = 0 / 0, math.huge
local pack, unpack_numbers = struct.pack, struct.unpack

local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6

local function text(number)
    if number == nil then return '' end
    return string.format('%.17g', number)
end

local function some(number)
    if number == number then return number end
    return nil
end

local function is_over(value, limit)
    return value > limit
        and value > limit + TOLERANCE * math.max(1, math.abs(limit))
end

-- Units that are young: pairs of the time at which they are no more, and the units. ---

local function age(account)
    local young, left = account.young, {}
    account.young_units, account.young_until = 0, INF
    for from = 1, #young, 16 do
        local ends, units = unpack_numbers('<dd', young, from)
        if ends > now then
            left[#left + 1] = string.sub(young, from, from + 15)
            account.young_units = account.young_units + units
            account.young_until = math.min(account.young_until, ends)
        end
    end
    account.young = table.concat(left)
end

-- Holds: `first_end` is no later than the first end of one, `last_end` no earlier than
-- the last time at which one is of interest. ----------------------------------------

local function is_leased(mode) return mode == 'open' or mode == 'sending' end

local function read_hold(written)
    if not written then return nil end
    local units, base = unpack_numbers('<dd', written)
    return {units = units, base = some(base), mode = string.sub(written, 17)}
end

-- What is to be written waits in `unwritten` until `save`.
local function find(account, key)
    local field = '+' .. key
    if account.unwritten[field] then return read_hold(account.unwritten[field]) end
    if account.looked_up == field then return read_hold(account.found) end
    return read_hold(redis.call('HGET', account.name, field))
end

local function set_end(account, key, mode, ends)
    redis.call('ZADD', account.leases, ends, key)
    account.first_end = math.min(account.first_end, ends)
    if mode == 'sending' then ends = ends + ORPHANED_FOR end
    account.last_end = math.max(account.last_end, ends)
    account.changed = true
end

local function add(account, key, hold, ends)
    account.unwritten['+' .. key] =
        pack('<dd', hold.units, hold.base or NAN) .. hold.mode
    if account.holds == 0 then account.leases_are_new = true end
    set_end(account, key, hold.mode, ends)
    account.holds = account.holds + 1
    account.held = account.held + hold.units
    account.counted = account.counted + hold.units
    if is_leased(hold.mode) then
        account.crossed = account.open > 0 and 1 or 0
        account.open = account.open + 1
    elseif hold.mode == 'doubtful' then
        account.doubtful = account.doubtful + 1
        account.doubtful_units = account.doubtful_units + hold.units
    else
        account.stored_units = account.stored_units + hold.units
    end
end

local function remove(account, key, hold)
    local field = '+' .. key
    if account.unwritten[field] then account.unwritten[field] = nil end
    if account.looked_up == field then account.found = nil end
    redis.call('HDEL', account.name, field)
    redis.call('ZREM', account.leases, key)
    account.holds = account.holds - 1
    account.held = account.held - hold.units
    if account.holds == 0 then
        account.held, account.first_end, account.last_end = 0, INF, -INF
    end
    account.counted = account.counted - hold.units
    if is_leased(hold.mode) then
        account.open = account.open - 1
    elseif hold.mode == 'doubtful' then
        account.doubtful = account.doubtful - 1
        account.doubtful_units = account.doubtful_units - hold.units
    else
        account.stored_units = account.stored_units - hold.units
    end
    if account.open + account.doubtful == account.holds then account.stored_units = 0 end
    if account.doubtful == 0 then account.doubtful_units = 0 end
    account.changed = true
end

local function is_certain(account) return account.open == 0 and account.doubtful == 0 end

local function run_out(account)
    account.changed = true
    local over = redis.call('ZRANGEBYSCORE', account.leases, '-inf', now,
        'WITHSCORES', 'LIMIT', 0, MOST_AT_ONCE)
    for i = 1, #over, 2 do
        local key, ends = over[i], tonumber(over[i + 1])
        local hold = find(account, key)
        if not hold then
            redis.call('ZREM', account.leases, key)
        else
            remove(account, key, hold)
            account.busy_until = math.max(account.busy_until, ends)
            if hold.mode == 'sending' then
                hold.mode = 'doubtful'
                add(account, key, hold, ends + ORPHANED_FOR)
            elseif hold.mode ~= 'stored' then
                account.expected = nil
                account.counted = account.counted + hold.units
                account.untold = account.untold + hold.units
            end
        end
    end
    local first = redis.call('ZRANGE', account.leases, 0, 0, 'WITHSCORES')
    account.first_end = tonumber(first[2] or INF)
end

-- Accounts ---------------------------------------------------------------------------

local function load(index, key)
    local name, field = KEYS[2 * index - 1], '+' .. (key or '')
    local values = redis.call('HMGET', name, 'account', field)
    local account = {
        name = name, leases = KEYS[2 * index], is_new = not values[1],
        written = values[1], unwritten = {}, looked_up = field, found = values[2],
        counted = 0, held = 0, expected = nil, period = nil, known = false,
        open = 0, doubtful = 0, holds = 0, crossed = 0,
        stored_units = 0, doubtful_units = 0, untold = 0,
        fenced_until = -INF, busy_until = -INF,
        first_end = INF, last_end = -INF, vanishes_at = -INF,
        young_units = 0, young_until = INF, young = '', fence = '',
        changed = false, leases_are_new = false,
    }
    if account.is_new then return account end
    local expected, period, known, young_ends
    account.counted, account.held, expected, period, known,
        account.open, account.doubtful, account.holds, account.crossed,
        account.stored_units, account.doubtful_units, account.untold,
        account.fenced_until, account.busy_until,
        account.first_end, account.last_end, account.vanishes_at,
        account.young_units, account.young_until, young_ends
        = unpack_numbers(FORM, values[1])
    account.expected, account.period = some(expected), some(period)
    account.known = known == 1
    if #values[1] > BYTES then
        account.young = string.sub(values[1], BYTES + 1, young_ends)
        account.fence = string.sub(values[1], young_ends + 1)
    end
    if account.first_end <= now then run_out(account) end
    if account.young_until <= now then age(account) end
    return account
end

-- Until when the keys are needed, if they must be told so.
local function needed_until(account)
    local ends = math.max(account.busy_until, account.fenced_until, account.last_end)
    local needed = math.max(ends, now) + REMEMBERED_FOR
    local vanishes_at = account.vanishes_at
    if needed <= vanishes_at and vanishes_at <= needed + REMEMBERED_FOR then
        return nil
    end
    return needed + SPARE
end

local function save(account)
    local until_then = needed_until(account)
    account.vanishes_at = until_then or account.vanishes_at
    local written = pack(FORM,
        account.counted, account.held, account.expected or NAN, account.period or NAN,
        account.known and 1 or 0,
        account.open, account.doubtful, account.holds, account.crossed,
        account.stored_units, account.doubtful_units, account.untold,
        account.fenced_until, account.busy_until,
        account.first_end, account.last_end, account.vanishes_at,
        account.young_units, account.young_until, BYTES + #account.young
    ) .. account.young .. account.fence
    local fields = {'account', written}
    for field, written in pairs(account.unwritten) do
        fields[#fields + 1] = field
        fields[#fields + 1] = written
    end
    if #fields > 2 or written ~= account.written then
        redis.call('HSET', account.name, unpack(fields))
    end
    if not until_then and not account.leases_are_new then return end
    local left = string.format('%d', math.ceil((account.vanishes_at - now) * 1000))
    if until_then then redis.call('PEXPIRE', account.name, left) end
    redis.call('PEXPIRE', account.leases, left)
end

local function busy(account)
    account.busy_until = math.max(account.busy_until, now)
    account.changed = true
end

local function is_late(account, period)
    return period ~= nil and account.period ~= nil and period < account.period
end

local function enter(account, period, usage)
    local is_first = account.period == nil
    account.period = period
    account.changed = true
    if is_first then return end
    account.expected = is_certain(account) and usage or nil
    account.counted = usage or 0
    account.known = usage ~= nil
    account.held, account.open, account.doubtful, account.holds = 0, 0, 0, 0
    account.crossed, account.stored_units, account.doubtful_units = 0, 0, 0
    account.untold = 0
    account.young, account.young_units, account.young_until = '', 0, INF
    account.first_end, account.last_end = INF, -INF
    account.unwritten, account.found, account.written = {}, nil, nil
    account.vanishes_at = -INF
    redis.call('DEL', account.name, account.leases)
end

-- Units that may be missing in the sidecar's usage, and in ours perhaps too.
local function waiting_units(account)
    local doubtful = account.expected == nil and account.doubtful_units or 0
    return account.stored_units + doubtful
end

local function count(account, usage, is_fresh)
    local before = account.counted
    if is_fresh and account.untold ~= 0 then
        account.untold, account.changed = 0, true
    end
    local least = usage + waiting_units(account)
    local most = usage + account.held + account.young_units
    if account.known then
        if is_fresh then account.counted = math.min(account.counted, most) end
        account.counted = math.max(least, account.counted)
        account.changed = account.changed or account.counted ~= before
        return
    end
    if is_fresh and account.busy_until == -INF then account.expected = usage end
    account.counted = is_fresh and most or math.max(account.counted, most)
    account.known = is_fresh
    account.changed = true
end

local function let_go(account, key)
    local hold = find(account, key)
    if hold then remove(account, key, hold) end
    return hold
end

-- Steps ------------------------------------------------------------------------------

local at = 1

local function next_text()
    at = at + 1
    return ARGV[at]
end

local function next_number() return tonumber(next_text()) end

local function hear(account, want)
    if want.usage == nil then return end
    if want.period ~= nil and want.period ~= account.period then
        if is_late(account, want.period) then return end
        enter(account, want.period, want.usage)
    end
    count(account, want.usage, want.is_fresh)
end

local function used(account, want)
    local ours = account.counted - account.held
    if want.usage == nil or want.usage <= ours or is_late(account, want.period) then
        return ours
    end
    return want.usage
end

local function increase(account, want)
    if want.update == 'set' then
        return math.max(0, want.units - used(account, want))
    end
    return math.max(0, want.units)
end

local function take_one(account, want, ends)
    local hold = find(account, want.key)
    if hold then
        if hold.mode == 'open' then
            local before = tonumber(redis.call('ZSCORE', account.leases, want.key))
            set_end(account, want.key, hold.mode, math.max(before, ends))
        end
        return nil
    end
    if account.fenced_until > now then return 'fenced' end
    local units = increase(account, want)
    if units > 0 and is_over(account.counted + units, want.limit) then return 'held' end
    local base = want.update == 'set' and used(account, want) or nil
    add(account, want.key, {mode = 'open', units = units, base = base}, ends)
    busy(account)
    want.is_new = true
    return nil
end

local function refused(refusal, account, index, wants)
    for i = index - 1, 1, -1 do
        if wants[i].is_new then let_go(wants[i].account, wants[i].key) end
    end
    local units = 0
    for _, want in ipairs(wants) do
        local is_of_it = KEYS[2 * want.index - 1] == account.name
        if is_of_it and not find(account, want.key) then
            units = units + increase(account, want)
        end
    end
    local want = wants[index]
    if refusal == 'held' and is_over(used(account, want) + units, want.limit) then
        refusal = 'used'
    end
    return table.concat(
        {refusal, index, text(account.counted), text(account.held), ''}, '|')
end

local function take()
    local ends, wants, accounts, before = now + next_number(), {}, {}, {}
    for index = 1, #KEYS / 2 do
        local key, numbers = next_text(), next_text()
        local units, limit, usage, period, rest = unpack_numbers('<dddd', numbers)
        wants[index] = {
            index = index, key = key, units = units, limit = limit,
            usage = some(usage), period = some(period),
            is_fresh = string.sub(numbers, rest, rest) == '1',
            update = string.sub(numbers, rest + 1),
        }
    end
    local reply, last
    for index, want in ipairs(wants) do
        local name = KEYS[2 * index - 1]
        local account = accounts[name] or load(index, want.key)
        accounts[name], want.account, last = account, account, name
        hear(account, want)
        before[name] = before[name] or {counted = account.counted, held = account.held}
        local refusal = take_one(account, want, ends)
        if refusal then
            reply = refused(refusal, account, index, wants)
            break
        end
    end
    for _, account in pairs(accounts) do
        if account.changed and not (reply and account.is_new) then save(account) end
    end
    if reply then return reply end
    local newly = {}
    for index, want in ipairs(wants) do
        if want.is_new then newly[#newly + 1] = index end
    end
    return table.concat({
        '', 0, text(before[last].counted), text(before[last].held),
        table.concat(newly, ','),
    }, '|')
end

-- Every other call takes: it needs nothing of what follows, and does not make it.
if ARGV[1] == 'take' then return take() end

-- What the other steps need beside --------------------------------------------------

local function rejuvenate(account, units, young_for)
    if units <= 0 or young_for <= 0 then return end
    local width = young_for / BUCKETS
    local ends = (math.floor(now / width) + BUCKETS + 1) * width
    local young, before = account.young, 0
    -- Most are of the last one.
    for from = #young - 15, 1, -16 do
        local others_end, others = unpack_numbers('<dd', young, from)
        if others_end == ends then
            young = string.sub(young, 1, from - 1) .. string.sub(young, from + 16)
            before = others
            break
        end
    end
    account.young = young .. pack('<dd', ends, before + units)
    account.young_units = account.young_units + units
    account.young_until = math.min(account.young_until, ends)
    account.busy_until = math.max(account.busy_until, ends)
end

local function is_of_now(account, period)
    if period == nil or period == account.period then return true end
    if is_late(account, period) then return false end
    enter(account, period, nil)
    return true
end

local function standing(account)
    return table.concat({
        text(account.counted), text(account.held), account.open, account.doubtful,
        text(account.expected), text(account.period),
    }, '|')
end

-- All of ours is in it, but for what waits.
local function believe(account, total)
    account.expected = total
    account.counted = math.min(account.counted, total + account.held)
end

-- Counts what a total shows and nobody told us; how much that is.
local function make_up(account, total)
    if not total then return 0 end
    if account.expected ~= nil and account.expected ~= total then return 0 end
    local missing = math.max(
        0, total + waiting_units(account) - account.counted + account.untold)
    local told = math.min(account.untold, missing)
    account.untold = account.untold - told
    account.counted = account.counted + missing - told
    return missing
end

local function peek(account) return standing(account) end

local function settle(account, key)
    local numbers = next_text()
    local units, young_for, total, period, rest = unpack_numbers('<dddd', numbers)
    local update = string.sub(numbers, rest)
    total, period = some(total), some(period)
    local hold = let_go(account, key)
    if not hold and not is_of_now(account, period) then return end
    local really_used = units
    if update == 'set' then
        if hold and hold.base then
            really_used = units - hold.base
        else
            really_used = math.max(0, units - (account.counted - account.held))
        end
    end
    account.counted = account.counted + really_used
    if total and not account.known then
        account.counted = total + account.held + account.young_units
        account.known, account.untold = true, 0
    end
    if not hold then
        account.expected = nil
    elseif total and is_certain(account) and account.crossed == 0 then
        believe(account, total)
    elseif update == 'set' then
        account.expected = nil
    elseif account.expected then
        account.expected = account.expected + units
    end
    busy(account)
    rejuvenate(account, math.max(0, really_used) + make_up(account, total), young_for)
end

local function give_back(account)
    if account.is_new then return end
    while at < #ARGV do let_go(account, next_text()) end
    busy(account)
end

local function renew(account)
    local ends, period = now + next_number(), next_number()
    while at < #ARGV do
        local key, units = next_text(), next_number()
        local hold = find(account, key)
        if hold then
            if hold.mode == 'open' then set_end(account, key, hold.mode, ends) end
        elseif is_of_now(account, period) then
            add(account, key, {mode = 'open', units = math.max(0, units)}, ends)
        end
    end
    busy(account)
end

local function keep(account, key)
    local numbers = next_text()
    local units, lease, period, rest = unpack_numbers('<ddd', numbers)
    local only_if_lost = string.sub(numbers, rest, rest) == '1'
    local only_if_open = string.sub(numbers, rest + 1, rest + 1) == '1'
    local mode = string.sub(numbers, rest + 2)
    units, period = some(units), some(period)
    if mode == 'sending' and account.fenced_until > now then return 0 end
    local known = find(account, key)
    if only_if_open and not (known and known.mode == 'open') then return 1 end
    if known then
        if only_if_lost then return 1 end
    elseif not is_of_now(account, period) then
        return 1
    end
    local hold = let_go(account, key) or {units = 0}
    if units then hold.units = math.max(0, units) end
    hold.mode = mode
    add(account, key, hold, now + (is_leased(mode) and lease or STORED_FOR))
    busy(account)
    return 1
end

local function doubts(account)
    local found = {}
    if account.doubtful == 0 then return found end
    for _, key in ipairs(redis.call('ZRANGE', account.leases, 0, -1)) do
        local hold = find(account, key)
        if hold and hold.mode == 'doubtful' then
            found[#found + 1] = key
            found[#found + 1] = text(hold.units)
        end
    end
    return found
end

local function fence(account)
    local token, lease = next_text(), next_number()
    if account.fenced_until > now and account.fence ~= token then return false end
    account.fence, account.fenced_until = token, now + lease
    busy(account)
    return {standing(account), doubts(account)}
end

local function lift(account)
    local token, total, young_for = next_text(), next_number(), next_number()
    if account.fence ~= token or account.fenced_until <= now then return end
    account.fence, account.fenced_until = '', -INF
    account.changed = true
    if total == nil then return end
    if not is_certain(account) then return count(account, total, true) end
    believe(account, total)
    rejuvenate(account, make_up(account, total), young_for)
    account.known = true
end

local steps = {
    peek = peek, settle = settle, give_back = give_back, renew = renew, keep = keep,
    fence = fence, lift = lift,
}
local has_key = ARGV[1] == 'settle' or ARGV[1] == 'keep'
local key = has_key and next_text() or nil
local account = load(1, key)
local reply = steps[ARGV[1]](account, key)
if account.changed then save(account) end
return reply
