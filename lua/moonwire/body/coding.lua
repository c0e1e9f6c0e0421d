-- body/coding.lua - puts a content coding on a request's body: on a string at once, on all others
-- while they are sent.  It sets no header.

local core = require "moonwire.core"
local errors = require "moonwire.error"

local CODINGS = { gzip = true, deflate = true, br = true, zstd = true }
local EXPECTED = "\"gzip\", \"deflate\", \"br\", \"zstd\" or false"
local AT_ONCE = 1024 * 1024 -- a longer string is compressed while it is sent
local PIECE = 64 * 1024

local M = {}

--- Raises unless `decompress` and `compress` are what they may be.
---@param opts table
---@param level integer whose fault a wrong one is: 1 the caller
function M.check(opts, level)
    local compress, decompress = opts.compress, opts.decompress
    if decompress ~= nil and type(decompress) ~= "boolean" then
        errors.argument(level + 1, "decompress", "boolean", decompress)
    elseif compress and not CODINGS[compress] then
        errors.argument(level + 1, "compress", EXPECTED, compress)
    end
end

local function encoder_of(name)
    local encoder, code = core.encoder(name)
    if not encoder then
        return nil, errors.from_code(code, "write", "compressing the body")
    end
    return encoder
end

--- A string with a coding put on.
---@param name "gzip"|"deflate"|"br"|"zstd"
---@param text string
---@return string? packed nil: out of memory
---@return moonwire.Error? err
function M.encode(name, text)
    local encoder, err = encoder_of(name)
    if not encoder then
        return nil, err
    end
    encoder:feed(text)
    encoder:feed_eof()
    local pieces = {}
    local event, piece = encoder:next()
    while event == "data" do
        pieces[#pieces + 1] = piece
        event, piece = encoder:next()
    end
    encoder:close()
    if event ~= "end" then
        return nil, errors.from_code(piece, "write", "compressing the body")
    end
    return table.concat(pieces)
end

-- A reader that compresses what another one gives -------------------------------------------------

local methods = {}
local Reader = { __index = methods, __name = "moonwire.CodingReader" }

-- The plain body's length isn't what is sent, so nobody else holds it against what was declared.
local function check_length(self, chunk)
    local length = self.source.length
    self.count = self.count + (chunk and #chunk or 0)
    if not length or self.count == length or chunk and self.count < length then
        return nil
    end
    local codes = core.codes
    return errors.from_code(self.count > length and codes.EBODY_LONG or codes.EBODY_SHORT, "write",
        "the request's body")
end

function methods:read()
    local encoder = self.encoder
    while not self.over do
        local event, piece = encoder:next(PIECE)
        if event == "data" then
            return piece
        elseif event == "end" then
            self.over = true
        elseif not event then
            return nil, errors.from_code(piece, "write", "compressing the body")
        else
            local chunk, err = self.source:read()
            err = err or check_length(self, chunk)
            if self.over then -- closed while the body's function was asked
                return nil
            elseif err then
                return nil, err
            elseif chunk then
                encoder:feed(chunk)
            else
                encoder:feed_eof()
            end
        end
    end
    return nil
end

function methods:close()
    self.over = true
    self.source:close()
    self.encoder:close()
end

local function open(body, name)
    local source, err = body:open()
    if not source then
        return nil, err
    end
    local encoder
    encoder, err = encoder_of(name)
    if not encoder then
        source:close()
        return nil, err
    end
    return setmetatable({
        source = source, encoder = encoder, immediate = source.immediate, count = 0, over = false,
    }, Reader)
end

--- A body with a coding put on; the same one, and no coding, where that would be no shorter.
---@param body moonwire.Body
---@param name "gzip"|"deflate"|"br"|"zstd"
---@return moonwire.Body body
---@return string? coding that it has then
function M.compressed(body, name)
    local text = body:string()
    if text and #text <= AT_ONCE then
        local packed, err = M.encode(name, text)
        if not packed then
            error(err, 0)
        elseif #packed >= #text then
            return body, nil
        end
        return body:recoded(packed), name
    end
    return body:recoded(nil, function()
        return open(body, name)
    end), name
end

return M
