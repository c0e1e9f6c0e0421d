-- verb/options.lua - what the arguments of `moonwire get` and its siblings mean: the request that
-- they ask for, and where its answer goes. It sends nothing.

local address = require "moonwire.verb.address"
local arguments = require "moonwire.cli.arguments"
local auth = require "moonwire.auth"
local bodies = require "moonwire.body"
local cookies = require "moonwire.cookies"
local items = require "moonwire.verb.items"
local secrets = require "moonwire.secrets"
local urls = require "moonwire.url"

local M = {}

M.USAGE = [==[
usage: moonwire VERB URL [options]

The request
  -H, --header 'Name: value'  a header field
      --query name=value      goes behind the URL's own query
      --json name=value       a JSON body: name=text, name:=JSON, name=@file, name:=@file;
                              a[b]=x and a[]=x nest; or a whole document: '{...}', @file, @-
      --form name=value       a form; with name=@file one with files
      --body TEXT             the body as it is: a text, @file, or @- for standard input
  -u, --user name:password    who is asking; with --digest a hash of it is sent
      --bearer TOKEN          the same; @FILE: the token is in there
  -n, --netrc                 the same, by the host, out of ~/.netrc
      --cookies FILE          cookies out of this file, and those that come into it
      --no-redirect           redirects are not followed
      --raw                   nothing is unpacked: gzip, deflate, br and zstd aren't asked for
      --timeout TIME          for all of it: 10, 500ms, 2m
      --retry N               when it fails in passing, up to N times more
  -x, --proxy URL             http, https, socks5 or socks5h; none: not even the environment's
      --unix-socket PATH      connects to this in place of the URL's host
  -k, --insecure              https: any certificate will do
      --ca FILE               the CAs to trust in place of the system's
      --cert FILE, --key FILE this side's certificate (PEM)

The answer
  -o, --output FILE           into a file, which takes that name once it is whole; -: to
                              standard output as it is. An error's body (400 and above) isn't
                              saved. A folder, for get: the file's name is found out
      --resume                get goes on with what an earlier --resume has left, and repeats what
                              breaks off; without -o the name is found out
  -f, --fail                  an error is no answer: its body isn't shown, and the exit code is
                              4 for 400 to 499, 5 for 500 and above
  -i, --include               status and headers too, where it isn't a terminal
  -v, --verbose               what goes over the wire, on stderr
      --har FILE              writes an HTTP Archive
      --color WHEN            always, never, or auto: on a terminal

Without a scheme a URL is https; for localhost, :8080/path and unix sockets it is http.
-H, --query, --json and --form may be given more than once.
Exit codes: 0; 1 when it failed; 2 for wrong usage; 4 and 5 with -f, -o and --resume; 130 after
Ctrl-C.
]==]

---@class moonwire.verb.Options
---@field method string
---@field url string
---@field has_no_scheme boolean it was filled in
---@field request table options of client:request
---@field client table options of http.client
---@field output string?
---@field resume boolean
---@field gauge moonwire.verb.Gauge? shows how far a file is
---@field fail boolean
---@field include boolean
---@field verbose boolean
---@field insecure boolean
---@field har string?
---@field cookies string?
---@field color "auto"|"always"|"never"
---@field help boolean

-- A reader for what may be given more than once.
local function list_reader(field)
    return function(text, options)
        local list = options[field] or {}
        list[#list + 1] = text
        return list
    end
end

local function once_reader(field, name, reader)
    return function(text, options)
        if options[field] ~= nil then
            return nil, nil, ("give %s once"):format(name)
        end
        return reader(text, options)
    end
end

local function take_timeout(text)
    local seconds = text:find "^%d+%.?%d*$" and tonumber(text) or arguments.seconds(text)
    if not seconds or seconds < 0.001 then
        return nil, "a time such as 10, 500ms, 10s, 2m or 1h"
    end
    return seconds
end

local function take_user(text)
    local user = text:match "^[^:]*"
    if user == "" or #user == #text then
        return nil, "name:password"
    elseif text:find "%c" then
        return nil, nil, "--user: a name and a password have no control characters"
    end
    return text
end

-- "@file": other users of the machine see the words of a command, but not what is in a file.
local function take_bearer(text)
    local path = items.path_of(text)
    if not path then
        return text
    end
    local content, problem = items.read_file(path)
    if not content then
        return nil, nil, problem
    end
    return content:match "^%s*(%S*)"
end

local COLORS = { auto = true, always = true, never = true }

local function take_color(text)
    if not COLORS[text] then
        return nil, "auto, always or never"
    end
    return text
end

local OPTIONS = {
    ["--header"] = { "headers", arguments.header },
    ["--query"] = { "query", list_reader "query" },
    ["--json"] = { "json", list_reader "json" },
    ["--form"] = { "form", list_reader "form" },
    ["--body"] = { "body", once_reader("body", "--body", arguments.text) },
    ["--user"] = { "user", take_user },
    ["--bearer"] = { "bearer", take_bearer },
    ["--digest"] = { "digest" },
    ["--netrc"] = { "netrc" },
    ["--cookies"] = { "cookies", arguments.path },
    ["--proxy"] = { "proxy", arguments.text },
    ["--location"] = { "location" },
    ["--no-redirect"] = { "no_redirect" },
    ["--compressed"] = { "compressed" },
    ["--raw"] = { "raw" },
    ["--timeout"] = { "timeout", take_timeout },
    ["--retry"] = { "retry", arguments.count(1000) },
    ["--unix-socket"] = { "unix_socket", arguments.path },
    ["--insecure"] = { "insecure" },
    ["--ca"] = { "ca", arguments.path },
    ["--cert"] = { "cert", arguments.path },
    ["--key"] = { "key", arguments.path },
    ["--output"] = { "output", once_reader("output", "-o", arguments.path) },
    ["--resume"] = { "resume" },
    ["--fail"] = { "fail" },
    ["--include"] = { "include" },
    ["--verbose"] = { "verbose" },
    ["--har"] = { "har", arguments.path },
    ["--color"] = { "color", take_color },
    ["--help"] = { "help" },
}

local SHORT = {
    H = "--header", u = "--user", L = "--location", k = "--insecure", o = "--output", f = "--fail",
    i = "--include", v = "--verbose", h = "--help", n = "--netrc", x = "--proxy",
}

local ACCEPT_JSON = "application/json, */*;q=0.5"

local function has_header(list, name)
    for _, field in ipairs(list) do
        if field[1]:lower() == name then
            return true
        end
    end
    return false
end

local function make_headers(given)
    local list = given.headers or {}
    if given.json and not has_header(list, "accept") then
        list[#list + 1] = { "Accept", ACCEPT_JSON }
    end
    return list
end

-- What a function of moonwire.auth makes, or nil and what is wrong with the words.
local function make(f, ...)
    local ok, result = pcall(f, ...)
    if not ok then
        return nil, (tostring(result):gsub("^bad argument ", "--user and --bearer: "))
    end
    return result
end

-- Who is asking: false when nobody is named, or nil and what is wrong.
local function make_auth(given)
    local count = (given.user and 1 or 0) + (given.bearer and 1 or 0) + (given.netrc and 1 or 0)
        + (has_header(given.headers or {}, "authorization") and 1 or 0)
    if count > 1 then
        return nil, "give one of --user, --bearer, --netrc and an Authorization header"
    elseif given.digest and not given.user then
        return nil, "--digest goes with --user"
    elseif given.user then
        local name, password = given.user:match "^([^:]*):(.*)$"
        return make(given.digest and auth.digest or auth.basic, name, password)
    elseif given.bearer then
        return make(auth.bearer, given.bearer)
    elseif given.netrc then
        local found, err = auth.netrc()
        return found, err and err.message
    end
    return false
end

-- Puts the body into the request's options.
local function add_body(request, given, stdin)
    local count = (given.json and 1 or 0) + (given.form and 1 or 0) + (given.body and 1 or 0)
    if count > 1 then
        return nil, "give one of --json, --form and --body"
    elseif given.json then
        local body, problem = items.json(given.json, stdin)
        request.body = body
        return body ~= nil, problem
    elseif given.form then
        local kind, result = items.form(given.form)
        if not kind then
            return nil, result
        end
        request[kind] = result
    elseif given.body then
        local path = items.path_of(given.body)
        request.body = path == "-" and bodies.generator(stdin) or path and bodies.file(path)
            or items.text_of(given.body)
    end
    return true
end

local function make_request(given, stdin)
    local request = { headers = make_headers(given) }
    local done, why = add_body(request, given, stdin)
    if not done then
        return nil, why
    end
    if given.query then
        local query, problem = items.query(given.query)
        if not query then
            return nil, problem
        end
        request.query = query
    end
    return request
end

local function make_client(given)
    if given.key and not given.cert then
        return nil, "--key goes with --cert"
    elseif given.no_redirect and given.location then
        return nil, "give one of -L and --no-redirect"
    elseif given.raw and given.compressed then
        return nil, "give one of --compressed and --raw"
    end
    local who, problem = make_auth(given)
    if who == nil then
        return nil, problem
    end
    local tls = {
        ca_file = given.ca, cert = given.cert, key = given.cert and (given.key or given.cert),
    }
    if given.insecure then
        tls.verify = false
    end
    local client = {
        timeout = given.timeout, unix_socket = given.unix_socket, tls = next(tls) and tls,
        auth = who or nil, cookies = given.cookies and cookies.jar() or nil, proxy = given.proxy,
    }
    if given.proxy == "none" then
        client.proxy = false
    end
    if given.raw then
        client.decompress = false
    end
    if given.no_redirect then
        client.redirect = false
    end
    if given.retry then
        client.retry = { attempts = given.retry + 1, budget = given.retry }
    end
    return client
end

local function check_resume(given, method)
    if given.resume and (method ~= "GET" or given.json or given.form or given.body) then
        return nil, "--resume is for get, without a body"
    elseif given.resume and given.output == "-" then
        return nil, "--resume needs the name of a file behind -o, or no -o"
    elseif given.resume and given.raw then
        return nil, "--resume asks for the bytes as they are: it needs no --raw"
    end
    return true
end

local function settle(given, method, url, stdin)
    local fits, misfit = check_resume(given, method)
    if not fits then
        return nil, misfit
    end
    local request, client, problem
    request, problem = make_request(given, stdin)
    if request then
        client, problem = make_client(given)
    end
    if not client then
        return nil, problem
    end
    local whole = address.complete(url, given.unix_socket ~= nil)
    local parsed
    parsed, problem = urls.parse(whole)
    if not parsed then
        return nil, ("%s is no URL: %s"):format(secrets.url(whole), problem)
    end
    given.has_no_scheme, url = whole ~= url, whole
    given.method, given.url, given.request, given.client = method, url, request, client
    return given
end

--- Reads the arguments behind the verb.
---@param method string "GET"
---@param args string[]
---@param first integer where they begin
---@param stdin fun(): string?, any gives the pieces of standard input
---@return moonwire.verb.Options? options, string? message what is wrong with them
function M.parse(method, args, first, stdin)
    local given, i, url, ended = { color = "auto" }, first, nil, false
    while args[i] do
        local word = args[i]
        if not ended and word == "--" then
            ended, i = true, i + 1
        elseif not ended and word:find "^%-." then
            local after, message = arguments.take(args, i, given, OPTIONS, SHORT)
            if not after then
                return nil, message
            end
            i = after
        elseif url then
            return nil, ("one URL is enough, and here is '%s' too"):format(word)
        else
            url, i = word, i + 1
        end
    end
    if given.help then
        return given
    elseif not url then
        return nil, "a URL is needed"
    end
    return settle(given, method, url, stdin)
end

return M
