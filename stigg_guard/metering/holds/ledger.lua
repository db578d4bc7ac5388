-- The rule of the hold stores, run inside Redis: one call is one step, at its clock.
-- `account.py`, `held.py`, `young.py` and `ledger.py` say the same in Python, under the
-- same names; what the steps mean is said in `base.py`.
--
-- KEYS: for each want, or for the step's one place, a hash and a sorted set.
--   hash        the account's numbers, and one field a hold: '+' .. key = mode|units|base
--   sorted set  the holds' keys by the time at which they run out
-- ARGV: the step's name, then its fields in the order in which they are read below.

local TOLERANCE, BUCKETS, MOST_AT_ONCE = 1e-9, 16, 1000
local REMEMBERED_FOR, STORED_FOR = tonumber(ARGV[2]), tonumber(ARGV[3])
local NUMBERS = {
    'counted', 'held', 'expected', 'period', 'known', 'open', 'doubtful', 'holds',
    'fenced_until', 'busy_until', 'doubtful_until', 'fence', 'young',
}

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6

local function text(number)
    if number == nil then return '' end
    return string.format('%.17g', number)
end

local function is_over(value, limit)
    return value > limit
        and value > limit + TOLERANCE * math.max(1, math.abs(limit))
end

-- Units that are young ---------------------------------------------------------------

local function young_units(account)
    local sum = 0
    for _, units in pairs(account.buckets) do sum = sum + units end
    return sum
end

local function rejuvenate(account, units, young_for)
    local width = young_for / BUCKETS
    local ends = (math.floor(now / width) + BUCKETS + 1) * width
    local key = text(ends)
    account.buckets[key] = (account.buckets[key] or 0) + units
    account.busy_until = math.max(account.busy_until, ends)
end

local function read_young(written)
    local buckets = {}
    for ends, units in string.gmatch(written or '', '([^:,]+):([^:,]+)') do
        if tonumber(ends) > now then buckets[ends] = tonumber(units) end
    end
    return buckets
end

local function written_young(buckets)
    local parts = {}
    for ends, units in pairs(buckets) do parts[#parts + 1] = ends .. ':' .. text(units) end
    table.sort(parts)
    return table.concat(parts, ',')
end

-- Holds ------------------------------------------------------------------------------

local function is_leased(mode) return mode == 'open' or mode == 'sending' end

local function find(account, key)
    local written = redis.call('HGET', account.name, '+' .. key)
    if not written then return nil end
    local mode, units, base = string.match(written, '^(%a+)|([^|]*)|([^|]*)$')
    return {mode = mode, units = tonumber(units), base = tonumber(base)}
end

local function add(account, key, hold, ends)
    local written = hold.mode .. '|' .. text(hold.units) .. '|' .. text(hold.base)
    redis.call('HSET', account.name, '+' .. key, written)
    redis.call('ZADD', account.leases, text(ends), key)
    account.holds = account.holds + 1
    account.held = account.held + hold.units
    account.counted = account.counted + hold.units
    if is_leased(hold.mode) then account.open = account.open + 1 end
    if hold.mode == 'doubtful' then account.doubtful = account.doubtful + 1 end
    if hold.mode == 'sending' then
        account.doubtful_until = math.max(account.doubtful_until, ends + STORED_FOR)
    end
    account.changed = true
end

local function remove(account, key, hold)
    redis.call('HDEL', account.name, '+' .. key)
    redis.call('ZREM', account.leases, key)
    account.holds = account.holds - 1
    account.held = account.holds > 0 and account.held - hold.units or 0
    account.counted = account.counted - hold.units
    if is_leased(hold.mode) then account.open = account.open - 1 end
    if hold.mode == 'doubtful' then account.doubtful = account.doubtful - 1 end
    account.changed = true
end

local function is_certain(account) return account.open == 0 and account.doubtful == 0 end

local function run_out(account)
    local over = redis.call('ZRANGEBYSCORE', account.leases, '-inf', text(now),
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
                add(account, key, hold, ends + STORED_FOR)
            elseif hold.mode ~= 'stored' then
                account.expected = nil
            end
        end
    end
end

-- Accounts ---------------------------------------------------------------------------

local function load(index)
    local name, leases = KEYS[2 * index - 1], KEYS[2 * index]
    local values = redis.call('HMGET', name, unpack(NUMBERS))
    local account = {name = name, leases = leases, is_new = not values[1]}
    for i, field in ipairs(NUMBERS) do account[field] = tonumber(values[i] or '') end
    for _, field in ipairs({'counted', 'held', 'open', 'doubtful', 'holds'}) do
        account[field] = account[field] or 0
    end
    account.known = account.known == 1
    account.fence = values[12] or ''
    account.fenced_until = account.fenced_until or -math.huge
    account.busy_until = account.busy_until or -math.huge
    account.doubtful_until = account.doubtful_until or -math.huge
    account.buckets = read_young(values[13])
    if account.holds > 0 then run_out(account) end
    return account
end

local function save(account)
    local values = {}
    for _, field in ipairs(NUMBERS) do
        values[#values + 1] = field
        values[#values + 1] = text(tonumber(account[field]))
    end
    values[10] = account.known and '1' or '0'
    values[24] = account.fence
    values[26] = written_young(account.buckets)
    redis.call('HSET', account.name, unpack(values))
    local ends = math.max(account.busy_until, account.fenced_until, now)
    if account.holds > 0 then
        local last = redis.call('ZREVRANGE', account.leases, 0, 0, 'WITHSCORES')
        ends = math.max(ends, tonumber(last[2] or now), account.doubtful_until)
    end
    local left = string.format('%d', math.ceil((ends - now + REMEMBERED_FOR) * 1000))
    redis.call('PEXPIRE', account.name, left)
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
    account.buckets = {}
    redis.call('DEL', account.name, account.leases)
end

local function is_of_now(account, period)
    if period == nil or period == account.period then return true end
    if is_late(account, period) then return false end
    enter(account, period, nil)
    return true
end

local function count(account, usage, is_fresh)
    local before = account.counted
    local most = usage + account.held + young_units(account)
    if account.known then
        if is_fresh then account.counted = math.min(account.counted, most) end
        account.counted = math.max(usage, account.counted)
        account.changed = account.changed or account.counted ~= before
        return
    end
    if is_fresh and account.busy_until == -math.huge then account.expected = usage end
    account.counted = is_fresh and most or math.max(account.counted, most)
    account.known = is_fresh
    account.changed = true
end

local function let_go(account, key)
    local hold = find(account, key)
    if hold then remove(account, key, hold) end
    return hold
end

local function standing(account)
    return {
        text(account.counted), text(account.held), account.open, account.doubtful,
        text(account.expected), text(account.period),
    }
end

-- Steps ------------------------------------------------------------------------------

local at = 3

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
    if find(account, want.key) then return 0 end
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
            redis.call('ZADD', account.leases, text(math.max(before, ends)), want.key)
            account.changed = true
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
        if KEYS[2 * want.index - 1] == account.name then
            units = units + increase(account, want)
        end
    end
    local want = wants[index]
    if refusal == 'held' and is_over(used(account, want) + units, want.limit) then
        refusal = 'used'
    end
    return {refusal, index, text(account.counted), text(account.held)}
end

local function take()
    local ends, wants, accounts, before = now + next_number(), {}, {}, {}
    for index = 1, #KEYS / 2 do
        wants[index] = {
            index = index, key = next_text(), units = next_number(),
            limit = next_number(), usage = next_number(), period = next_number(),
            update = next_text(), is_fresh = next_text() == '1',
        }
    end
    local reply, last
    for index, want in ipairs(wants) do
        local name = KEYS[2 * index - 1]
        local account = accounts[name] or load(index)
        accounts[name], want.account, last = account, account, name
        hear(account, want)
        before[name] = before[name] or {text(account.counted), text(account.held)}
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
    reply = {'', 0, before[last][1], before[last][2]}
    for index, want in ipairs(wants) do
        if want.is_new then reply[#reply + 1] = index end
    end
    return reply
end

local function peek(account) return standing(account) end

local function settle(account)
    local key, units, young_for = next_text(), next_number(), next_number()
    local total, update, period = next_number(), next_text(), next_number()
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
        account.counted = total + account.held + young_units(account)
        account.known = true
    end
    if total and is_certain(account) then
        account.expected = total
    elseif update == 'set' then
        account.expected = nil
    elseif account.expected then
        account.expected = account.expected + units
    end
    busy(account)
    if really_used > 0 and young_for > 0 then
        rejuvenate(account, really_used, young_for)
    end
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
            if hold.mode == 'open' then
                redis.call('ZADD', account.leases, text(ends), key)
            end
        elseif is_of_now(account, period) then
            add(account, key, {mode = 'open', units = math.max(0, units)}, ends)
        end
    end
    busy(account)
end

local function keep(account)
    local key, units, mode = next_text(), next_number(), next_text()
    local lease, period = next_number(), next_number()
    if mode == 'sending' and account.fenced_until > now then return 0 end
    if not find(account, key) and not is_of_now(account, period) then return 1 end
    local hold = let_go(account, key) or {units = 0}
    if units then hold.units = math.max(0, units) end
    hold.mode = mode
    add(account, key, hold, now + (is_leased(mode) and lease or STORED_FOR))
    busy(account)
    return 1
end

local function fence(account)
    local token, lease = next_text(), next_number()
    if account.fenced_until > now and account.fence ~= token then return false end
    account.fence, account.fenced_until = token, now + lease
    busy(account)
    return standing(account)
end

local function lift(account)
    local token, total = next_text(), next_number()
    if account.fence ~= token or account.fenced_until <= now then return end
    account.fence, account.fenced_until = '', -math.huge
    account.changed = true
    if total == nil then return end
    count(account, total, true)
    if is_certain(account) then account.expected = total end
end

if ARGV[1] == 'take' then return take() end

local steps = {
    peek = peek, settle = settle, give_back = give_back, renew = renew, keep = keep,
    fence = fence, lift = lift,
}
local account = load(1)
local reply = steps[ARGV[1]](account)
if account.changed then save(account) end
return reply
