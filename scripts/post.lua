-- Load from wrk for Stampede: every request posts an envelope with an id of its own.
--
--   STAMPEDE_RUN=monday wrk -t 2 -c 8 -d 10s -s scripts/post.lua http://127.0.0.1:8080/
--
-- STAMPEDE_RUN            names the run, 1 to 64 characters of A-Z a-z 0-9 . _ - (wrk). Ids start anew with each wrk:
--                         give each its own run, or the ids of the second will count as duplicates.
-- STAMPEDE_PAYLOAD_BYTES  length of the field "data" (64)
--
-- response() is left out on purpose: with it wrk would hand each answer to Lua, which costs a good part of its rate.

-- wrk reports an error in a script and then goes on without the script: only os.exit stops it.
local function refuse(text)
    io.stderr:write("post.lua: ", text, "\n")
    os.exit(2)
end

local run = os.getenv("STAMPEDE_RUN") or "wrk"
if #run < 1 or #run > 64 or run:find("[^A-Za-z0-9._-]") or run == "service" or run == "sweep" or run == "clock" then
    refuse("STAMPEDE_RUN must be 1 to 64 characters of A-Z a-z 0-9 . _ -, and not service, sweep or clock")
end

local bytes = os.getenv("STAMPEDE_PAYLOAD_BYTES") or "64"
if not bytes:find("^%d+$") or #bytes > 8 then
    refuse("STAMPEDE_PAYLOAD_BYTES must be a number of bytes below 100000000")
end

-- The layout of an id: worker (10 bits) | connection (11 bits) | sequence (32 bits). wrk does not tell a script which
-- connection a request is for, so a thread is one worker with one connection.
local threads = 0

function setup(thread)
    if threads == 1024 then refuse("an id has room for 1024 threads") end
    thread:set("worker", threads)
    threads = threads + 1
end

local next_id, template

function init()
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"

    -- The id is padded to the 16 digits of the largest, 2^53 - 1, so that Content-Length is the same for all and the
    -- request can be built once. JSON allows spaces after a number.
    local before = '{"run":"' .. run .. '","id":'
    local after = ',"data":"' .. ("x"):rep(tonumber(bytes)) .. '"}'
    local request = wrk.format(nil, nil, nil, before .. (" "):rep(16) .. after)
    local head = request:sub(1, #request - 16 - #after)
    -- One format is faster than joining three strings. %.0f prints every whole number up to 2^53 exactly; not every Lua
    -- promises as much of %d beyond 32 bits.
    template = (head:gsub("%%", "%%%%")) .. "%-16.0f" .. after

    next_id = worker * 2 ^ 43
end

local format = string.format

function request()
    local id = next_id
    next_id = id + 1
    return format(template, id)
end

function done(summary)
    print(format("stampede run=%s requests=%d", run, summary.requests))
    print(format("report it with: driver report %s --redis URL", run))
end
