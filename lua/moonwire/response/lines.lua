-- response/lines.lua - cuts the pieces of a body into lines.  It never asks for a piece before it
-- has given out the lines of the last one.

local errors = require "moonwire.error"

local M = {}

--- The state of lines().
---@class moonwire.response.Lines
---@field text string? what is being cut up
---@field from integer where its next line begins
---@field pieces string[] the beginning of a line that isn't complete
---@field size integer of the pieces

local function join_line(lines, last)
    local pieces = lines.pieces
    pieces[#pieces + 1] = last
    local line = table.concat(pieces)
    lines.pieces, lines.size = {}, 0
    return line
end

local function keep_piece(lines, give_up, limit)
    local piece = lines.text:sub(lines.from)
    lines.text, lines.size = nil, lines.size + #piece
    if lines.size > limit then
        error(give_up(errors.new {
            kind = "limit", phase = "body",
            message = ("a line of the body is longer than %d bytes"):format(limit),
        }), 0)
    end
    lines.pieces[#lines.pieces + 1] = piece
end

local function next_line(lines, next_piece, give_up, limit)
    while true do
        if not lines.text then
            local chunk, err = next_piece()
            if err then
                error(err, 0)
            elseif not chunk then
                return #lines.pieces > 0 and join_line(lines, "") or nil
            end
            lines.text, lines.from = chunk, 1
        end
        local stop = lines.text:find("\n", lines.from, true)
        if stop then
            local line = join_line(lines, lines.text:sub(lines.from, stop - 1))
            lines.from = stop + 1
            if lines.from > #lines.text then
                lines.text = nil
            end
            return line:byte(-1) == 13 and line:sub(1, -2) or line
        end
        keep_piece(lines, give_up, limit)
    end
end

--- An iterator over lines, without "\n" or "\r\n".
---@param next_piece fun(): string?, moonwire.Error?
---@param give_up fun(err: moonwire.Error): moonwire.Error a line is longer than `limit`
---@param limit integer
---@return fun(): string?
function M.iterator(next_piece, give_up, limit)
    local lines = { text = nil, from = 1, pieces = {}, size = 0 }
    return function()
        return next_line(lines, next_piece, give_up, limit)
    end
end

return M
