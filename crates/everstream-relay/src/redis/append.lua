-- KEYS: the stream, its cursor. ARGV: the position to compare, "1" and the id or "0" and "", the feed's
-- URL or "", and for each record "1" and its id or "0" and "", its type and its data.
--
-- Nothing is rolled back when a script fails. So both keys are read first, the cursor is written before
-- the stream, and if an entry is refused, the cursor says which were stored.
local cursor = redis.call('HMGET', KEYS[2], 'pos', 'id')
local length = redis.call('XLEN', KEYS[1])
if not cursor[1] then
    if length > 0 then
        return redis.error_reply('NOCURSOR the stream has entries, but no cursor')
    end
    cursor[1] = '0'
end
local same_id = (ARGV[2] == '1' and cursor[2] == ARGV[3]) or (ARGV[2] == '0' and not cursor[2])
if cursor[1] ~= ARGV[1] or not same_id then
    return -1
end

local function write_cursor(count)
    if count == 0 then
        redis.call('HSET', KEYS[2], 'pos', cursor[1])
        return
    end
    local at = 5 + (count - 1) * 4
    -- As text: numbers of Lua are exact up to 2^53 only, which is enough for the sum, not for its text.
    local pos = string.format('%.0f', tonumber(cursor[1]) + count)
    if ARGV[at] == '1' then
        redis.call('HSET', KEYS[2], 'pos', pos, 'id', ARGV[at + 1])
    else
        redis.call('HSET', KEYS[2], 'pos', pos)
        redis.call('HDEL', KEYS[2], 'id')
    end
end

write_cursor(0)
local count = (#ARGV - 4) / 4
for n = 1, count do
    local at = 5 + (n - 1) * 4
    local pos = string.format('%.0f', tonumber(cursor[1]) + n)
    local entry = {'XADD', KEYS[1], '*', 'data', ARGV[at + 3], 'sse-event', ARGV[at + 2], 'sse-pos', pos}
    if ARGV[at] == '1' then
        entry[#entry + 1] = 'sse-id'
        entry[#entry + 1] = ARGV[at + 1]
    end
    if ARGV[4] ~= '' then
        entry[#entry + 1] = 'sse-source'
        entry[#entry + 1] = ARGV[4]
    end
    local added = redis.pcall(unpack(entry))
    if type(added) == 'table' and added.err then
        if n == 1 then
            return added
        end
        write_cursor(n - 1)
        return n - 1
    end
end
write_cursor(count)
return count
