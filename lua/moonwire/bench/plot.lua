-- bench/plot.lua - one plot as SVG text: axes, ticks, lines, bars. It knows nothing of what they
-- mean.
local escape = require "moonwire.bench.escape"

local WIDTH, HEIGHT = 720, 280
local LEFT, RIGHT, TOP, BOTTOM = 78, 14, 30, 40
local HEADROOM = 1.04 -- above the greatest value of a linear axis
local TICKS = 5 -- about so many on a linear axis

local floor, log10, max = math.floor, math.log10, math.max

local plot = {}

---@class moonwire.bench.Axis
---@field from number
---@field to number above from
---@field log boolean? from must be above 0
---@field ticks {value: number, text: string}[]
---@field label string

---@class moonwire.bench.Line
---@field name string
---@field class string of the style sheet: "a", "b", "c"
---@field points number[][] {x, y}

local function position(axis, value, length)
    local from, to = axis.from, axis.to
    if axis.log then
        from, to, value = log10(from), log10(to), log10(max(value, from))
    end
    return (value - from) / (to - from) * length
end

local function x_of(axis, value)
    return LEFT + position(axis, value, WIDTH - LEFT - RIGHT)
end

local function y_of(axis, value)
    return HEIGHT - BOTTOM - position(axis, value, HEIGHT - TOP - BOTTOM)
end

--- An axis from 0 with ticks at round numbers.
---@param most number the greatest value
---@param text fun(value: number): string
---@param label string
---@return moonwire.bench.Axis
function plot.linear(most, text, label)
    most = most > 0 and most or 1
    local step = 10 ^ floor(log10(most / TICKS))
    local factor = most / TICKS / step
    step = step * (factor > 5 and 10 or factor > 2 and 5 or factor > 1 and 2 or 1)
    local ticks = {}
    for i = 0, floor(most / step + 1e-9) do
        ticks[#ticks + 1] = { i * step, text(i * step) }
    end
    return { from = 0, to = most * HEADROOM, ticks = ticks, label = label }
end

--- A logarithmic axis between two values above 0; its ends are moved to 1, 2 or 5 times a power of
--- ten.
---@param least number
---@param most number
---@param text fun(value: number): string
---@param label string
---@return moonwire.bench.Axis
function plot.logarithmic(least, most, text, label)
    local steps, ticks = { 1, 2, 5 }, {}
    local sparse = most / least > 1000
    local first, last
    for exponent = floor(log10(least)), floor(log10(most)) + 1 do
        for _, step in ipairs(steps) do
            local value = step * 10 ^ exponent
            if value <= least * (1 + 1e-9) then
                first = value
            elseif not last and value >= most * (1 - 1e-9) then
                last = value
            end
        end
    end
    for exponent = floor(log10(first) + 1e-9), floor(log10(last) + 1e-9) do
        for _, step in ipairs(steps) do
            local value = step * 10 ^ exponent
            if value >= first * (1 - 1e-9) and value <= last * (1 + 1e-9)
                and (step == 1 or not sparse) then
                ticks[#ticks + 1] = { value, text(value) }
            end
        end
    end
    return { from = first, to = last, log = true, ticks = ticks, label = label }
end

local function add(out, format, ...)
    out[#out + 1] = format:format(...)
end

local function add_axes(out, x, y)
    for _, tick in ipairs(y.ticks) do
        local at = y_of(y, tick[1])
        add(out, '<line class="grid" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/>', LEFT, at,
            WIDTH - RIGHT, at)
        add(out, '<text x="%d" y="%.1f" text-anchor="end">%s</text>', LEFT - 6, at + 4,
            escape(tick[2]))
    end
    for _, tick in ipairs(x.ticks) do
        local at = x_of(x, tick[1])
        add(out, '<line class="grid" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>', at, TOP, at,
            HEIGHT - BOTTOM)
        add(out, '<text x="%.1f" y="%d" text-anchor="middle">%s</text>', at, HEIGHT - BOTTOM + 16,
            escape(tick[2]))
    end
    add(out, '<text class="label" x="%d" y="%d" text-anchor="end">%s</text>', WIDTH - RIGHT,
        HEIGHT - 6, escape(x.label))
    add(out, '<text class="label" x="%d" y="%d">%s</text>', LEFT, TOP - 12, escape(y.label))
end

local function add_line(out, line, x, y)
    local points = {}
    for i, point in ipairs(line.points) do
        points[i] = ("%.1f,%.1f"):format(x_of(x, point[1]), y_of(y, point[2]))
    end
    if #points == 1 then -- a line of one point shows nothing
        local at_x, at_y = points[1]:match "(.*),(.*)"
        add(out, '<circle class="%s" cx="%s" cy="%s" r="3"/>', line.class, at_x, at_y)
    elseif #points > 1 then
        add(out, '<polyline class="%s" points="%s"><title>%s</title></polyline>', line.class,
            table.concat(points, " "), escape(line.name))
    end
end

-- The names of the lines, in their colours.
local function add_legend(out, lines)
    if #lines < 2 then
        return
    end
    for i, line in ipairs(lines) do
        local at = WIDTH - RIGHT - (#lines - i + 1) * 84
        add(out, '<line class="%s" x1="%d" y1="%d" x2="%d" y2="%d"/>', line.class, at, TOP - 16,
            at + 18, TOP - 16)
        add(out, '<text x="%d" y="%d">%s</text>', at + 23, TOP - 12, escape(line.name))
    end
end

local function add_bars(out, bars, x, y)
    for _, bar in ipairs(bars) do
        local left, right = x_of(x, bar.from), x_of(x, bar.to)
        local top = y_of(y, bar.value)
        add(out, '<rect class="bar" x="%.1f" y="%.1f" width="%.1f" height="%.1f">'
            .. "<title>%s</title></rect>", left, top, max(right - left - 0.5, 0.5),
            HEIGHT - BOTTOM - top, escape(bar.text))
    end
end

--- Draws it.
---@param title string
---@param x moonwire.bench.Axis
---@param y moonwire.bench.Axis
---@param lines moonwire.bench.Line[]
---@param bars {from: number, to: number, value: number, text: string}[]?
---@return string svg
function plot.draw(title, x, y, lines, bars)
    local out = {}
    add(out, '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" '
        .. 'aria-label="%s">', WIDTH, HEIGHT, escape(title))
    add_axes(out, x, y)
    add_bars(out, bars or {}, x, y)
    for _, line in ipairs(lines) do
        add_line(out, line, x, y)
    end
    add_legend(out, lines)
    out[#out + 1] = "</svg>"
    return table.concat(out, "\n")
end

return plot
