-- One script for all cases: wrk ... URL -- CASE [BODY_BYTES]. Ends with one line of figures that wrk.py reads.
-- wrk calls init before it formats the request, once for each thread, so what is set here costs nothing while it runs.

local browser = {
  ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
  ["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
  ["Accept-Encoding"] = "gzip, deflate, br, zstd",
  ["Accept-Language"] = "en-GB,en;q=0.9,de;q=0.8",
  ["Cache-Control"] = "max-age=0",
  ["Cookie"] = "session=" .. string.rep("0123456789abcdef", 16) .. "; theme=dark; consent=necessary%2Canalytics; visits=17",
  ["Referer"] = "https://www.example.com/products/overview?sort=price&page=3",
  ["Sec-Ch-Ua"] = '"Not/A)Brand";v="8", "Chromium";v="126", "Google Chrome";v="126"',
  ["Sec-Ch-Ua-Mobile"] = "?0",
  ["Sec-Ch-Ua-Platform"] = '"Linux"',
  ["Sec-Fetch-Dest"] = "document",
  ["Sec-Fetch-Mode"] = "navigate",
  ["Sec-Fetch-Site"] = "same-origin",
  ["Upgrade-Insecure-Requests"] = "1",
}

local kinds = {
  plain = function() end,
  browser = function() for name, value in pairs(browser) do wrk.headers[name] = value end end,
  gzip = function() wrk.headers["Accept-Encoding"] = "gzip" end,
  upload = function(bytes) wrk.method = "POST"; wrk.body = string.rep("u", tonumber(bytes)) end,
  named = function()
    for name, value in pairs({ ["Host"] = "localhost", ["User-Agent"] = "Mozilla/5.0", ["Accept"] = "*/*" }) do wrk.headers[name] = value end
    wrk.headers["Authorization"] = "Basic YmVuY2g6ZXZlcnlib2R5"
  end,
  token = function() wrk.headers["Cookie"] = "token=eyJhbGciOiJFUzI1NiIsImtpZCI6ImJlbmNoIiwidHlwIjoiSldUIn0.eyJzdWIiOiJiZW5jaCIsImV4cCI6NDEwMjQ0NDgwMH0.md8jNE9_UpZthw6hIEQlae9V1tShtMjI0ts7JFSzOsGPBZ9gehYfvBjvFPSesvFmsQOaRyDprzAIV8aLvB7ZeA" end,
  close = function() wrk.headers["Connection"] = "close" end,
}

function init(args)
  kinds[args[1]](args[2])
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    "figures requests=%d bytes=%d microseconds=%d p50=%d p99=%d connect=%d read=%d write=%d status=%d timeout=%d\n",
    summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.status, e.timeout))
end
