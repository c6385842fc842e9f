-- An open loop for wrk: `wrk -t1 -c N -d S -s open-loop.lua URL -- REQUESTS RATE SEED LEAD`, where REQUESTS is a Lua program that
-- returns a list of requests as bytes on the wire, RATE their number a second, and LEAD the ms in which the connections are
-- made before the first request is due.
--
-- Requests are due at the times of one Poisson process, whatever the server does: a connection that is free takes the next
-- due time that is not taken, and waits for it. wrk measures an answer from when its request was sent; how late it was
-- sent because no connection was free is measured here, so that a server that stalls longer than there are connections
-- for does not hide it.
local ffi = require('ffi')
ffi.cdef [[
  typedef struct { long seconds; long nanoseconds; } mlcdn_time;
  int clock_gettime(int clock, mlcdn_time *time);
]]
local MONOTONIC = 1
-- wrk keeps time by the millisecond: a request that a connection takes later than this after it was due, ms, is late.
local TOLERANCE_MS = 1

local now = ffi.new('mlcdn_time')
local function milliseconds()
  ffi.C.clock_gettime(MONOTONIC, now)
  return tonumber(now.seconds) * 1e3 + tonumber(now.nanoseconds) / 1e6
end

local threads = {}
function setup(thread)
  table.insert(threads, thread)
end

local wire, mean, due
local random = math.random
function init(arguments)
  wire = dofile(arguments[1])
  mean = 1e3 / tonumber(arguments[2])
  math.randomseed(tonumber(arguments[3]))
  due = milliseconds() + tonumber(arguments[4])
  late, latest = 0, 0
end

function delay()
  due = due - mean * math.log(1 - random())
  local wait = due - milliseconds()
  if wait >= 0 then return math.ceil(wait) end
  if wait < -TOLERANCE_MS then
    late = late + 1
    latest = math.max(latest, -wait)
  end
  return 0
end

function request()
  return wire[random(#wire)]
end

function done(summary, latency)
  local errors = summary.errors
  local thread = threads[1]
  local seen = {
    requests = summary.requests,
    failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    p50 = latency:percentile(50) / 1e3,
    p99 = latency:percentile(99) / 1e3,
    p999 = latency:percentile(99.9) / 1e3,
    late = thread:get('late'),
    latest = thread:get('latest'),
    generatorSeconds = os.clock(),
  }
  local fields = {}
  for name, value in pairs(seen) do table.insert(fields, string.format('"%s":%.6g', name, value)) end
  io.write('\nRESULT {', table.concat(fields, ','), '}\n')
end
