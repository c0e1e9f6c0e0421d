-- The loopback server's /range/N: the bytes of /bytes/N, or a part of them, for downloads that go
-- on where they broke off; and it breaks them off where it is told so. It opens nothing.
local data = require "moonwire.testing.server.data"

local MOST = 2 ^ 50

local ranges = {}

local function number(text, default)
    local value = text == nil and default or tonumber(text)
    return value and value >= 0 and value <= MOST and value % 1 == 0 and value or nil
end

-- The part that is asked for, where it is of this version: first and last byte; nil: all of it.
local function wanted(request, length, tag)
    local text = request.headers:get "Range"
    local condition = request.headers:get "If-Range"
    if not text or condition and condition ~= tag then
        return nil
    end
    local first, last = text:match "^bytes=(%d+)%-(%d*)$"
    if not first then
        return nil
    end
    return tonumber(first), math.min(tonumber(last) or length - 1, length - 1)
end

--- /range/N?cut=BYTES&tag=TEXT: `cut`: after so many bytes the connection is closed; `tag`: the
--- version's name, in place of "N".
---@param request moonwire.testing.Request
---@param respond moonwire.testing.Respond
---@param text string N
function ranges.answer(_, request, respond, text)
    local length, cut = number(text), number(request.args.cut, MOST)
    if not length or not cut then
        return respond(400, { error = "sizes are whole numbers of bytes" })
    end
    local tag = ('"%s"'):format(tostring(request.args.tag or text):gsub("[^%w._-]", ""))
    local fields = {
        ["Content-Type"] = "application/octet-stream", ["Accept-Ranges"] = "bytes", ETag = tag,
    }
    local first, last = wanted(request, length, tag)
    if first and first >= length then
        fields["Content-Range"] = ("bytes */%d"):format(length)
        return respond(416, "", fields)
    elseif first then
        fields["Content-Range"] = ("bytes %d-%d/%d"):format(first, last, length)
    end
    local status, stop = first and 206 or 200, (last or length - 1) + 1
    first = first or 0
    respond:begin(status, fields, stop - first)
    local sent = 0
    while first < stop and request.method ~= "HEAD" do
        if sent == cut then
            respond:take_over() -- which ends the connection
            return
        end
        local piece = data.piece(first, math.min(stop - first, cut - sent))
        respond:write(piece)
        first, sent = first + #piece, sent + #piece
    end
    respond:finish()
end

return ranges
