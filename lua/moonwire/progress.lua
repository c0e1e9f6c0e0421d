-- progress.lua - shows how far things are: on a terminal a line with a bar for each, drawn anew in
-- place; elsewhere a line every few seconds. It writes when it is told something, and never by
-- itself.

local backends = require "moonwire.backend"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local meters = require "moonwire.progress.meter"
local words = require "moonwire.progress.words"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local REDRAW = 0.1 -- seconds between two drawings on a terminal
local LINES = 5 -- seconds between two lines elsewhere
local COLUMNS, ROWS = 80, 24 -- where nobody says

-- All that is shown on one file.
---@class moonwire.progress.Board
---@field out file*
---@field bars moonwire.progress.Bar[] those that have not ended
---@field drawn integer lines that stand on the terminal and will be drawn over
---@field drawn_at number

local boards = setmetatable({}, { __mode = "k" })

local function board_of(out)
    local board = boards[out]
    if not board then
        board = { bars = {}, drawn = 0, drawn_at = -math.huge }
        boards[out] = board
    end
    return board
end

-- Its size now: a window may have changed since.
local function size_of(out)
    local columns, rows = core.terminal_size(out)
    if not columns then
        return nil
    end
    columns = columns > 0 and columns or tonumber(os.getenv "COLUMNS") or COLUMNS
    return math.max(columns, 20), rows > 0 and rows or ROWS
end

-- Draws the lines of all bars over those of last time; above them, for good, what has ended.
local function draw(board, out, columns, rows, ended)
    local text = {}
    if board.drawn > 0 then
        text[1] = ("\r\27[%dA"):format(board.drawn)
    end
    for _, line in ipairs(ended) do
        text[#text + 1] = line .. "\27[K\n"
    end
    local bars, shown = board.bars, math.min(#board.bars, rows - 1)
    if shown < #bars then
        shown = shown - 1
    end
    for i = 1, shown do
        local bar = bars[i]
        text[#text + 1] = words.line(bar.name, bar.info, columns, bar.words) .. "\27[K\n"
    end
    board.drawn = shown
    if shown < #bars then
        text[#text + 1] = ("... and %d more\27[K\n"):format(#bars - shown)
        board.drawn = shown + 1
    end
    text[#text + 1] = "\27[J" -- what is left of more lines
    out:write(table.concat(text))
    out:flush()
end

---@class moonwire.progress.Bar
---@field private board moonwire.progress.Board
---@field private out file*
---@field private name string
---@field private meter moonwire.progress.Meter
---@field private info moonwire.ProgressInfo
---@field private words string? in place of the rate
---@field private shown_at number when its last line was written, where it isn't drawn
---@field private ended boolean
local methods = {}

local function show(self, now)
    local columns, rows = size_of(self.out)
    local board = self.board
    if columns then
        if now - board.drawn_at >= REDRAW then
            board.drawn_at = now
            draw(board, self.out, columns, rows, {})
        end
    elseif now - self.shown_at >= LINES then
        self.shown_at = now
        self.out:write(words.plain(self.name, self.info, self.words), "\n")
        self.out:flush()
    end
end

-- bar(bytes, total), as `progress` and `upload_progress` of a request are called, or bar(info).
local function update(self, bytes, total)
    if self.ended then
        return
    elseif type(bytes) == "table" then
        bytes, total = bytes.bytes, bytes.total
    end
    errors.check(2, "bytes", "number", bytes)
    local now = backends.current():now()
    self.words = nil
    self.info = self.meter:update(bytes, total, now)
    show(self, now)
end

local Bar = { __index = methods, __name = "moonwire.progress.Bar", __call = update }

--- Says something in place of rate and time, until it is told of bytes again.
---@param text string
function methods:note(text)
    errors.check(2, "text", "string", text)
    if not self.ended then
        self.words = words.harmless(text)
        show(self, backends.current():now())
    end
end

--- Its last line, which stays. Twice is harmless.
---@param text string? in place of "done in 0:05"
function methods:finish(text)
    if text ~= nil then
        errors.check(2, "text", "string", text)
    end
    if self.ended then
        return
    end
    self.ended = true
    local board, now = self.board, backends.current():now()
    for i, bar in ipairs(board.bars) do
        if bar == self then
            table.remove(board.bars, i)
            break
        end
    end
    text = text and words.harmless(text) or "done in " .. words.time(now - self.started)
    local columns, rows = size_of(self.out)
    if columns then
        board.drawn_at = now
        draw(board, self.out, columns, rows, { words.line(self.name, self.info, columns, text) })
    else
        self.out:write(words.plain(self.name, self.info, text), "\n")
        self.out:flush()
    end
end

local progress = {}

local KNOWN = { name = true, out = true }

---@class moonwire.progress.Options
---@field name string what it is called
---@field out file*? where it is shown: io.stderr if none is given

--- A bar that can be called: `bar(bytes, total)`, so it can be `progress` or `upload_progress` of a
--- request. All bars of a terminal are drawn together.
---@param opts moonwire.progress.Options|string  a string is the name
---@return moonwire.progress.Bar
function progress.bar(opts)
    if type(opts) == "string" then
        opts = { name = opts }
    elseif type(opts) ~= "table" then
        errors.argument(2, "opts", "table or name", opts)
    end
    for name in each(opts) do
        if not KNOWN[name] then
            error(("unknown option '%s' (known: name out)"):format(tostring(name)), 2)
        end
    end
    errors.check(2, "name", "string", opts.name)
    local out = opts.out or io.stderr
    if io.type(out) ~= "file" then
        errors.argument(2, "out", "open file", out)
    end
    local now, board = backends.current():now(), board_of(out)
    local bar = setmetatable({
        board = board, out = out, name = words.harmless(opts.name), meter = meters.new(),
        info = { bytes = 0 }, started = now, shown_at = now, ended = false,
    }, Bar)
    board.bars[#board.bars + 1] = bar
    return bar
end

return progress
