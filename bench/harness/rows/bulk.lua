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

-- A row that sets moonwire against curl. `commands` gives the command of each, by name.
local function row(name, work, at_most, commands)
    return {
        name = name,
        title = work,
        unit = MS,
        targets = { { work = work, case = "moonwire", against = "curl", at_most = at_most } },
        cases = function(site)
            site:need_big()
            local by_name, cost, cases = commands(site), per_gib(site), {}
            for _, client in ipairs { "floor", "curl", "moonwire", "moonwire, function" } do
                if by_name[client] then
                    cases[#cases + 1] = {
                        name = client, command = by_name[client], wants = by_name.wants,
                        cost = cost,
                    }
                end
            end
            return cases
        end,
    }
end

local function curl_to(path, ...)
    return { "curl", "-sS", "-o", path, ... }
end

local function floor(site, how, port, path, file)
    return { site.programs .. "/bulk", how, port, path, file }
end

local function download(how, without_lua)
    return function(site)
        return {
            floor = floor(site, without_lua, site.port, "/big"),
            curl = curl_to("/dev/null", big_url(site)),
            moonwire = transfer(site, how, big_url(site)),
        }
    end
end

local function saved(site)
    return {
        floor = floor(site, "save", site.port, "/big", site.saved),
        curl = curl_to(site.saved, big_url(site)),
        moonwire = transfer(site, "save", big_url(site), site.saved),
        wants = { path = site.saved, size = site.size },
    }
end

local function secure(site)
    return {
        curl = curl_to("/dev/null", "--cacert", site.ca, big_url(site, true)),
        moonwire = transfer(site, "discard", big_url(site, true)),
    }
end

local function upload(how, ...)
    local more = { ... }
    return function(site)
        local port = site:need_sink()
        local url = ("http://127.0.0.1:%d/put"):format(port)
        return {
            floor = floor(site, how, port, "/put", site.big),
            curl = curl_to("/dev/null", "-T", site.big, url, unpack(more)),
            moonwire = transfer(site, how, url, site.big),
            ["moonwire, function"] = how == "chunked"
                and transfer(site, "function", url, site.big) or nil,
        }
    end
end

return {
    row("download_discard", "1 GiB download, discarded", 0.35, download("discard", "discard")),
    row("download_file", "1 GiB download to a file: res:save(path)", 0.50, saved),
    row("download_strings", "1 GiB download as Lua strings: res:chunks()", 0.80,
        download("chunks", "read")),
    row("upload_length", "1 GiB upload of a file, Content-Length", 0.60, upload "length"),
    row("upload_chunked", "1 GiB upload of a file, chunked", 0.65,
        upload("chunked", "-H", "Transfer-Encoding: chunked")),
    row("https_download", "HTTPS 1 GiB download, discarded", 0.90, secure),
}
