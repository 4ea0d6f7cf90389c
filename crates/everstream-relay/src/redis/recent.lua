-- KEYS: the stream, its cursor. ARGV: how many ids. Returns the position, the id or false, whether there
-- are entries, and the ids of the last entries, the newest first. Nothing is written.
local cursor = redis.call('HMGET', KEYS[2], 'pos', 'id')
local length = redis.call('XLEN', KEYS[1])
local ids = {}
local wanted = tonumber(ARGV[1])
local before = '+'
-- A few at a time: they come with their data.
while wanted > 0 do
    local entries = redis.call('XREVRANGE', KEYS[1], before, '-', 'COUNT', math.min(wanted, 32))
    if #entries == 0 then
        break
    end
    for _, entry in ipairs(entries) do
        for at = 1, #entry[2], 2 do
            if entry[2][at] == 'sse-id' then
                ids[#ids + 1] = entry[2][at + 1]
            end
        end
        before = '(' .. entry[1]
    end
    wanted = wanted - #entries
end
return {cursor[1], cursor[2], length, ids}
