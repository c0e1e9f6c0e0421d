-- The rows of large bodies: 1 GiB (times the scale) down and up.

local function transfer(site, ...)
    return { site.moonwire, site.root .. "/bench/clients/transfer.lua", ... }
end

local GIB = 1024 * 1024 * 1024

-- CPU milliseconds for a GiB, whatever the size is.
local function per_gib(site)
    return function(sample)
        return sample.cpu * GIB / site.size
    end
end

local MS = { word = "ms/GiB", factor = 1e3 }

local function big_url(site, secure)
    return secure and ("https://127.0.0.1:%d/big"):format(site.tls_port)
        or ("http://127.0.0.1:%d/big"):format(site.port)
end

-- A row that sets moonwire against curl.
local function row(name, work, at_most, commands)
    return {
        name = name,
        title = work,
        unit = MS,
        targets = { { work = work, case = "moonwire", against = "curl", at_most = at_most } },
        cases = function(site)
            site:need_big()
            local moonwire, curl, wants = commands(site)
            local cost = per_gib(site)
            return {
                { name = "curl", command = curl, wants = wants, cost = cost },
                { name = "moonwire", command = moonwire, wants = wants, cost = cost },
            }
        end,
    }
end

local function curl_to(path, ...)
    return { "curl", "-sS", "-o", path, ... }
end

local function download(how)
    return function(site)
        return transfer(site, how, big_url(site)), curl_to("/dev/null", big_url(site))
    end
end

local function saved(site)
    return transfer(site, "save", big_url(site), site.saved), curl_to(site.saved, big_url(site)),
        { path = site.saved, size = site.size }
end

local function secure(site)
    return transfer(site, "discard", big_url(site, true)),
        curl_to("/dev/null", "--cacert", site.ca, big_url(site, true))
end

local function upload(how, ...)
    local more = { ... }
    return function(site)
        local url = ("http://127.0.0.1:%d/put"):format(site:need_sink())
        return transfer(site, how, url, site.big), curl_to("/dev/null", "-T", site.big, url,
            unpack(more))
    end
end

return {
    row("download_discard", "1 GiB download, discarded", 0.35, download "discard"),
    row("download_file", "1 GiB download to a file: res:save(path)", 0.50, saved),
    row("download_strings", "1 GiB download as Lua strings: res:chunks()", 0.80,
        download "chunks"),
    row("upload_length", "1 GiB upload of a file, Content-Length", 0.60, upload "length"),
    row("upload_chunked", "1 GiB upload of a file, chunked", 0.65,
        upload("chunked", "-H", "Transfer-Encoding: chunked")),
    row("https_download", "HTTPS 1 GiB download, discarded", 0.90, secure),
}
