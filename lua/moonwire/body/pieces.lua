-- body/pieces.lua - reads a body of several pieces, strings and other bodies, one after the other.
-- It never knows what they are for.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local M = {}

---@class moonwire.body.PiecesReader: moonwire.BodyReader
---@field private pieces (string|{body: moonwire.Body, name: string})[]
---@field private index integer of the piece that is read
---@field private given integer how much of it was given
---@field private opened table<integer, moonwire.BodyReader> by the index of their pieces
---@field private problem moonwire.Error?
local methods = { immediate = true } -- a string comes first
local Reader = { __index = methods, __name = "moonwire.PiecesReader" }

-- Ends it, and says which part has failed.
local function fail(self, piece, err)
    err.message = ("part \"%s\": %s"):format(piece.name, err.message)
    self.problem = err
    return nil, err
end

-- Opens the body of a piece; nil where that fails, and then read() says why.
local function open(self, index)
    local piece = self.pieces[index]
    local reader, err = piece.body:open()
    if not reader then
        return fail(self, piece, err)
    end
    self.opened[index] = reader
    return reader
end

local function wrong_length(self, piece, code)
    return fail(self, piece, errors.from_code(code, "write", "its content"))
end

local function go_on(self)
    local reader = self.opened[self.index]
    if reader then
        reader:close()
        self.opened[self.index] = nil
    end
    self.index, self.given = self.index + 1, 0
end

-- The next bytes of a body; nil at its end.
local function read_piece(self, piece)
    local reader = self.opened[self.index] or open(self, self.index)
    if not reader then
        return nil, self.problem
    end
    local chunk, err = reader:read()
    if err then
        return fail(self, piece, err)
    elseif chunk then
        self.given = self.given + #chunk
        if reader.length and self.given > reader.length then
            return wrong_length(self, piece, core.codes.EBODY_LONG)
        end
        return chunk
    elseif reader.length and self.given < reader.length then
        return wrong_length(self, piece, core.codes.EBODY_SHORT)
    end
    return nil
end

function methods:read()
    while not self.problem do
        local piece = self.pieces[self.index]
        if piece == nil then
            return nil
        end
        local chunk, err
        if type(piece) == "string" then
            chunk = piece
            go_on(self)
        else
            chunk, err = read_piece(self, piece)
            if not chunk and not err then
                go_on(self)
            end
        end
        if err or chunk and chunk ~= "" then
            return chunk, err
        end
    end
    return nil, self.problem
end

--- What a file among the parts claims, it claims for all of them.
function methods:claim()
    local piece = self.pieces[self.index]
    if self.problem or type(piece) ~= "table" then
        return nil
    end
    local reader = self.opened[self.index] or open(self, self.index)
    if not reader or not reader.claim then
        return nil
    end
    local size, source = reader:claim()
    self.given = self.given + (size or 0)
    return size, source
end

function methods:explain(code)
    local _, err = self.opened[self.index]:explain(code)
    return fail(self, self.pieces[self.index], err)
end

function methods:close()
    for index, reader in each(self.opened) do
        reader:close()
        self.opened[index] = nil
    end
    self.pieces = {}
end

--- Opens what is to be read. Files that are measured late are opened all before the first byte
--- goes: so what was measured is what is sent, whatever is done to the path.
---@param pieces (string|{body: moonwire.Body, name: string})[] a string first
---@return moonwire.body.PiecesReader? reader, moonwire.Error? err
function M.open(pieces)
    local self = setmetatable({ pieces = pieces, index = 1, given = 0, opened = {} }, Reader)
    local sum = 0
    for index, piece in ipairs(pieces) do
        local size
        if type(piece) == "string" then
            size = #piece
        elseif piece.body.measured then
            local reader = open(self, index)
            if not reader then
                self:close()
                return nil, self.problem
            end
            size = reader.length
        else
            size = piece.body.length
        end
        sum = sum and size and sum + size
    end
    self.length = sum or nil
    return self
end

return M
